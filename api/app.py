"""Assembly of the service: which parts there are and how they hold together. No input or output happens here."""

from aiohttp import web

from api import keys
from api.allowance import Allowance
from api.auth import Authenticator
from api.config import ApiConfig
from api.draining import Draining
from api.metrics import Metrics
from api.middleware import add_headers, answer_errors, identify
from api.openapi import build_document
from api.operations import render_page
from api.pipeline import Pipeline
from api.queue import RequestQueue
from api.routes import ROUTES
from generation.engine import Engine
from storage.clock import Clock
from storage.ledger import Ledger
from storage.tokens import TokenStore


def create_app(
    config: ApiConfig, *, engine: Engine, tokens: TokenStore, ledger: Ledger, clock: Clock
) -> web.Application:
    """Build the application around parts that are already open; whoever opened them closes them.

    Run it with `api.runner.ServiceRunner`.
    """
    app = web.Application(middlewares=[identify, answer_errors], client_max_size=config.max_body_bytes)
    queue = RequestQueue(slots=config.slots, max_waiting=config.max_waiting)
    allowance = Allowance(ledger, clock=clock)
    app[keys.CONFIG] = config
    app[keys.CLOCK] = clock
    app[keys.ENGINE] = engine
    app[keys.LEDGER] = ledger
    app[keys.ALLOWANCE] = allowance
    app[keys.AUTHENTICATOR] = Authenticator(tokens, service_token=config.service_token, daily_calls=config.daily_calls)
    app[keys.PIPELINE] = Pipeline(
        engine,
        queue=queue,
        allowance=allowance,
        engine_wait_seconds=config.engine_wait_seconds,
        deadline_seconds=config.reply_deadline_seconds,
    )
    app[keys.METRICS] = Metrics(engine=engine, queue=queue)
    app[keys.DRAINING] = Draining()
    app[keys.DOCUMENT] = build_document(ROUTES, config.public_url, config.abilities)
    app[keys.PAGE] = render_page(app[keys.DOCUMENT])
    app[keys.STARTED_AT] = int(clock.now().timestamp())
    for route in ROUTES:
        app.router.add_route(route.method, route.path, route.handler)
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, route.handler)
    app.on_response_prepare.append(add_headers)
    app.on_cleanup.append(_drain)
    return app


async def _drain(app: web.Application) -> None:
    await app[keys.ALLOWANCE].drain()
