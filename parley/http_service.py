"""The HTTP service on its socket: bound, announced, drained."""

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from api.app import create_app
from api.config import ApiConfig
from generation.engine import Engine
from parley.failure import FailureError
from parley.model_file import ChosenModel
from parley.settings import Settings
from parley.stores import Stores

KEEP_ALIVE_SECONDS = 75.0


def api_config(settings: Settings, model: ChosenModel, *, service_token: str, url: str) -> ApiConfig:
    """Collect what the service needs; `url` is where it listens."""
    return ApiConfig(
        service_token=service_token,
        model_name=model.name,
        public_url=settings.public_url or url,
        daily_calls=settings.daily_calls,
        context_tokens=model.context_tokens,
        slots=settings.parallel,
        max_waiting=settings.max_queue,
        max_body_bytes=settings.max_body,
    )


@asynccontextmanager
async def http_service(
    settings: Settings,
    stores: Stores,
    engine: Engine,
    *,
    model: ChosenModel,
    service_token: str,
    drain_seconds: float,
) -> AsyncIterator[str]:
    """Serve for the block and yield the address; at its end running replies may take `drain_seconds`.

    Raises `FailureError` when the port cannot be had.
    """
    config = api_config(settings, model, service_token=service_token, url=settings.listening_url())
    app = create_app(config, engine=engine, tokens=stores.tokens, ledger=stores.ledger, clock=stores.clock)
    # Cancelling the handler of a caller that hung up is what frees its slot.
    runner = web.AppRunner(
        app,
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        shutdown_timeout=drain_seconds,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port, reuse_address=True)
        await _bind(site, settings)
        yield settings.listening_url(runner.addresses[0][1])
    finally:
        await asyncio.shield(runner.cleanup())


async def _bind(site: web.TCPSite, settings: Settings) -> None:
    try:
        await site.start()
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        if error.errno == errno.EADDRINUSE:
            raise FailureError(f"PORT: {where} is in use; stop the other program or set another PORT") from None
        if error.errno in {errno.EACCES, errno.EPERM}:
            raise FailureError(f"PORT: not allowed to listen on {where}; use a PORT above 1023") from None
        raise FailureError(f"HOST: cannot listen on {where}; set an address of this machine") from None
