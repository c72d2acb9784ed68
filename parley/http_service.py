"""The HTTP service on its socket: bound, serving, drained."""

import asyncio
import errno

from aiohttp import web

from api.app import create_app
from api.config import ApiConfig, DiscordApplication
from api.runner import ServiceRunner
from generation.engine import Engine
from parley.engine_choice import ChosenEngine
from parley.failure import FailureError
from parley.settings import Settings
from parley.stores import Stores

KEEP_ALIVE_SECONDS = 75.0

DRAIN_SECONDS = 13.0
"""How long running replies may take to finish after a stop. With the engine's own five seconds the whole stop stays
below the 20 s of `contract.md` section 5."""


class HttpService:
    """The service of one process. `url` is where this machine reaches it, known once started."""

    def __init__(
        self, settings: Settings, stores: Stores, engine: Engine, chosen: ChosenEngine, *, service_token: str
    ) -> None:
        self._settings = settings
        self.service_token = service_token
        self.url = settings.listening_url()
        config = ApiConfig(
            service_token=service_token,
            model_name=chosen.name,
            adapter_names=tuple(name for name, _ in chosen.others),
            abilities=chosen.abilities,
            public_url=settings.public_url or self.url,
            daily_calls=settings.daily_calls,
            context_tokens=chosen.context_tokens,
            slots=settings.parallel,
            max_waiting=settings.max_queue,
            tenant_slots=settings.tenant_slots,
            max_body_bytes=settings.max_body,
            system_prompt=settings.system_prompt,
            uncensored_system_prompt=settings.uncensored_system_prompt,
            allows_private_webhooks=settings.private_webhooks,
            tokens_per_server=settings.tokens_per_server,
            mature=settings.mature,
            discord_login=_discord_application(settings),
        )
        app = create_app(
            config,
            engine=engine,
            tokens=stores.tokens,
            ledger=stores.ledger,
            chats=stores.chats,
            outbox=stores.outbox,
            login_links=stores.login_links,
            signing_keys=stores.signing_keys,
            health=stores.health,
            clock=stores.clock,
        )
        self._runner = ServiceRunner(app, keepalive_timeout=KEEP_ALIVE_SECONDS)

    async def start(self) -> None:
        """Listen and serve; raises `FailureError` when the port cannot be had."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._settings.host, self._settings.port).start()
        except (OSError, UnicodeError) as error:
            raise _explain(error, self._settings) from None
        self.url = self._settings.listening_url(self._runner.addresses[0][1])

    async def stop(self, *, hurry: asyncio.Event | None = None) -> None:
        """Take no more requests and let running ones finish for `DRAIN_SECONDS`, or until `hurry` is set.

        Safe to call twice.
        """
        await self._runner.drain(DRAIN_SECONDS, hurry=hurry)


def _discord_application(settings: Settings) -> DiscordApplication | None:
    """Collect what a log-in with Discord needs, where it is on."""
    if settings.discord_client_secret is None or settings.discord_token is None:
        return None
    return DiscordApplication(
        bot_token=settings.discord_token.get_secret_value(),
        client_secret=settings.discord_client_secret.get_secret_value(),
        api_url=settings.discord_api_url,
    )


def _explain(error: OSError | UnicodeError, settings: Settings) -> FailureError:
    where = f"{settings.host}:{settings.port}"
    match getattr(error, "errno", None):
        case errno.EADDRINUSE:
            return FailureError(f"PORT: {where} is in use; stop the other program or set another PORT")
        case errno.EACCES | errno.EPERM:
            return FailureError(f"PORT: not allowed to listen on {where}; use a PORT above 1023")
        case _:
            return FailureError(f"HOST: cannot listen on {where}; set an address of this machine")
