"""Assembly of the service: which parts there are and how they hold together. No input or output happens here."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from api import keys
from api.allowance import Allowance
from api.auth import Authenticator
from api.config import ApiConfig
from api.documentation import Documentation
from api.draining import Draining
from api.metrics import Metrics
from api.middleware import add_headers, answer_errors, answer_expectation, identify
from api.modelslab_webhooks import run_webhooks
from api.pipeline import Pipeline
from api.pulse import Pulse
from api.queue import RequestQueue
from api.routes import DIALECTS, ROUTES
from api.web.attempts import Attempts
from api.web.recent import RecentCalls
from api.web.routes import SERVED
from api.web.startup import run_pages
from generation.engine import Engine
from generation.finishing import Finisher
from storage.chats import Chats
from storage.clock import Clock
from storage.health import DatabaseHealth
from storage.ledger import Ledger
from storage.login_links import LoginLinks
from storage.outbox import Outbox
from storage.signing_keys import SigningKeys
from storage.tokens import TokenStore


def create_app(  # noqa: PLR0913 - the parts it is made of
    config: ApiConfig,
    *,
    engine: Engine,
    tokens: TokenStore,
    ledger: Ledger,
    chats: Chats,
    outbox: Outbox,
    login_links: LoginLinks,
    signing_keys: SigningKeys,
    health: DatabaseHealth,
    clock: Clock,
) -> web.Application:
    """Build the application around parts that are already open; whoever opened them closes them.

    Run it with `api.runner.ServiceRunner`.
    """
    app = web.Application(middlewares=[identify, answer_errors], client_max_size=config.max_body_bytes)
    queue = RequestQueue(slots=config.slots, max_waiting=config.max_waiting, tenant_slots=config.tenant_slots)
    allowance = Allowance(ledger, clock=clock)
    app[keys.CONFIG] = config
    app[keys.DIALECTS] = DIALECTS
    app[keys.CLOCK] = clock
    app[keys.ENGINE] = engine
    app[keys.LEDGER] = ledger
    app[keys.CHATS] = chats
    app[keys.OUTBOX] = outbox
    app[keys.SIGNING_KEYS] = signing_keys
    app[keys.HEALTH] = health
    app[keys.FINISHER] = Finisher()
    app[keys.BACKGROUND] = set()
    app[keys.ALLOWANCE] = allowance
    app[keys.AUTHENTICATOR] = Authenticator(tokens, service_token=config.service_token, daily_calls=config.daily_calls)
    app[keys.PIPELINE] = Pipeline(
        engine,
        queue=queue,
        allowance=allowance,
        engine_wait_seconds=config.engine_wait_seconds,
        deadline_seconds=config.reply_deadline_seconds,
    )
    app[keys.METRICS] = Metrics(engine=engine, queue=queue, allowance=allowance, health=health, slots=config.slots)
    app[keys.RECENT] = RecentCalls(clock)
    app[keys.TOKENS] = tokens
    app[keys.LOGIN_LINKS] = login_links
    app[keys.ATTEMPTS] = Attempts(clock)
    app[keys.PULSE] = Pulse(engine, app[keys.METRICS])
    app[keys.DRAINING] = Draining()
    app[keys.DOCUMENTATION] = Documentation(ROUTES, DIALECTS, config)
    app[keys.STARTED_AT] = int(clock.now().timestamp())
    for route in (*ROUTES, *SERVED):
        for path in route.paths:
            for method in (route.method, "HEAD") if route.method == "GET" else (route.method,):
                # Models elsewhere have names like acme/parrot-7b, and files lie in folders.
                pattern = path.replace("{model}", "{model:.+}").replace("{name}", "{name:.+}")
                app.router.add_route(method, pattern, route.handler, expect_handler=answer_expectation)
    app.on_response_prepare.append(add_headers)
    app.cleanup_ctx.extend([_run_pulse, run_webhooks, run_pages])
    app.on_cleanup.append(_drain)
    return app


async def _run_pulse(app: web.Application) -> AsyncIterator[None]:
    beating = asyncio.create_task(app[keys.PULSE].beat(), name="pulse")
    yield
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)


async def _drain(app: web.Application) -> None:
    await app[keys.ALLOWANCE].drain()
