"""The life of a Parley process: what starts in which order, what stops it, and how it ends.

Owns: start, signals, graceful stop. Does not own: the parts themselves (`api`, `bot`, `generation`, `storage`).
"""

import asyncio
import contextlib
import logging
import secrets
import signal
from collections.abc import Coroutine, Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from rich.console import Console

from bot.config import BotConfig, BotStores
from bot.errors import DiscordLoginError
from bot.runner import run_bot
from generation.engine import Engine
from parley.apart import run_apart
from parley.collector import spare_what_stays
from parley.engine_choice import choose_engine
from parley.failure import FailureError
from parley.http_service import DRAIN_SECONDS, HttpService
from parley.keeping import prepare_keeping
from parley.pages import login_url
from parley.panel import DISCORD_STEPS, NOBODY_MAY_ACT, StartFacts, print_panel
from parley.settings import Settings
from parley.shards import read_shard_ids
from parley.stores import Stores, open_stores
from storage.clock import JumpWatch
from storage.errors import StorageError

logger = logging.getLogger(__name__)

RETENTION_CHECK_SECONDS = 3600.0

TEND_SECONDS = 10.0
"""Between two looks for what other processes on the same database did or left."""

ResultT = TypeVar("ResultT")


class StoppedError(Exception):
    """A signal came before Parley was up."""


class Stop:
    """Set by SIGTERM and Ctrl-C; a second signal gives up waiting for running replies."""

    def __init__(self) -> None:
        self.requested = asyncio.Event()
        self.hurry = asyncio.Event()

    def listen(self) -> None:
        """Take over SIGTERM and SIGINT of this process."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        if self.requested.is_set():
            self.hurry.set()
        self.requested.set()

    async def or_result(self, steps: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Await steps, or raise `StoppedError` when a signal comes first."""
        working = asyncio.ensure_future(steps)
        waiting = asyncio.ensure_future(self.requested.wait())
        try:
            await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise StoppedError
            return working.result()
        finally:
            for task in (working, waiting):
                task.cancel()
            await asyncio.gather(working, waiting, return_exceptions=True)


async def serve(settings: Settings, *, console: Console, with_bot: bool) -> None:
    """Run the service, and the bot where a Discord token is set, until a signal.

    HTTP answers from the first moment (`/readyz` says what is missing); the panel follows when the model has answered.
    Raises `FailureError`, `ModelError` or `StorageError` when it cannot start.
    """
    stop = Stop()
    stop.listen()
    with contextlib.suppress(StoppedError):
        await _serve(settings, stop, console=console, with_bot=with_bot)


async def _serve(settings: Settings, stop: Stop, *, console: Console, with_bot: bool) -> None:
    if settings.api_url is not None and settings.service_token is None:
        raise FailureError("PARLEY_API_URL: needs PARLEY_SERVICE_TOKEN, the same secret as that service; set both")
    chosen = await stop.or_result(choose_engine(settings))
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(open_stores(settings, sole_service=True))
        await stores.ledger.reclaim_open_calls()
        await stores.outbox.release_all()
        engine = chosen.create(await prepare_keeping(settings, stores, can_keep=chosen.can_keep))
        stack.push_async_callback(engine.close)
        service = HttpService(settings, stores, engine, chosen, service_token=_service_token(settings))
        stack.push_async_callback(service.stop)
        await service.start()
        await stop.or_result(engine.start())
        beside = Beside()
        stack.push_async_callback(beside.end)
        if stores.database.is_shared:
            beside.start(_tend_what_is_shared(stores, engine))
        if settings.retention_days is not None:
            beside.start(_retain(stores, engine, settings.retention_days))
        if with_bot and settings.discord_token is not None:
            config = bot_config(settings, url=settings.api_url or service.url, service_token=service.service_token)
            beside.start(_stay_up_without_discord(config, stores))
        facts = StartFacts(
            model=chosen.description,
            is_demo=chosen.is_demo,
            api_url=settings.public_url or service.url,
            discord=_discord_state(settings, with_bot=with_bot),
            login_url=login_url(settings.public_url or service.url, await stores.login_links.create()),
            first_token=await _first_token(stores, settings),
        )
        print_panel(console, facts)
        spare_what_stays()
        await stop.requested.wait()
        logger.info("stopping; running replies may take up to %d s", DRAIN_SECONDS)
        # Together: a reply of the bot's is a request of the service's, and both have the same time to finish.
        await asyncio.gather(service.stop(hurry=stop.hurry), beside.end(hurry=stop.hurry))


async def serve_bot(settings: Settings, *, console: Console) -> None:
    """Run the bot alone, against the service at `PARLEY_API_URL`, until a signal.

    Raises `FailureError`, `DiscordLoginError` or `StorageError`.
    """
    missing = {
        "DISCORD_TOKEN: needed for `parley bot`; copy the bot's token from Discord": settings.discord_token,
        "PARLEY_API_URL: needed for `parley bot`; set the address of `parley api`": settings.api_url,
        "PARLEY_SERVICE_TOKEN: needed for `parley bot`; set the secret `parley api` has": settings.service_token,
    }
    for sentence, value in missing.items():
        if value is None:
            raise FailureError(sentence)
    stop = Stop()
    stop.listen()
    async with open_stores(settings) as stores:
        config = bot_config(settings, url=settings.api_url or "", service_token=_service_token(settings))
        config = replace(config, leases_shards=True)
        with contextlib.suppress(StoppedError):
            await stop.or_result(run_apart(config, _run_bot(config, stores), console))


def bot_config(settings: Settings, *, url: str, service_token: str) -> BotConfig:
    """Collect what the bot needs; `url` is the address of the service."""
    assert settings.discord_token is not None
    return BotConfig(
        token=settings.discord_token.get_secret_value(),
        api_url=url,
        service_token=service_token,
        public_url=settings.public_url or url,
        system_prompt=settings.system_prompt,
        daily_calls=settings.daily_calls,
        context_tokens=settings.context,
        message_content=settings.message_content,
        person_daily_calls=settings.person_calls,
        tokens_per_server=settings.tokens_per_server,
        reply_messages=settings.reply_messages,
        max_attachment_bytes=settings.max_attachment,
        mature=settings.mature,
        mature_dms=settings.mature_dms,
        discord_api_url=settings.discord_api_url,
        discord_gateway_url=settings.discord_gateway_url,
        max_body_bytes=settings.max_body,
        drain_seconds=DRAIN_SECONDS,
        shard_count=settings.shard_count,
        shard_ids=read_shard_ids(settings.shard_ids),
    )


def _service_token(settings: Settings) -> str:
    return settings.service_token.get_secret_value() if settings.service_token else secrets.token_urlsafe(32)


async def _run_bot(config: BotConfig, stores: Stores) -> None:
    parts = BotStores(
        conversations=stores.conversations,
        channels=stores.channels,
        personas=stores.personas,
        person_limits=stores.person_limits,
        tokens=stores.tokens,
        ledger=stores.ledger,
        notes=stores.notes,
        claims=stores.claims,
        open_questions=stores.open_questions,
        stop_requests=stores.stop_requests,
    )
    await run_bot(config, parts, on_login=lambda name: logger.info("Discord is on: logged in as %s", name))


async def _stay_up_without_discord(config: BotConfig, stores: Stores) -> None:
    """Run the bot; a refused login is one line in the log, and HTTP goes on."""
    try:
        await _run_bot(config, stores)
    except DiscordLoginError as error:
        logger.error("Discord is off: %s", error)  # noqa: TRY400 - one line for the operator, no traceback


async def _tend_what_is_shared(stores: Stores, engine: Engine) -> None:
    """Follow, for as long as this process runs, what other processes on the same database did or left.

    Calls of one that was killed are given back. What was computed here of words that were deleted elsewhere goes.
    """
    while True:
        await asyncio.sleep(TEND_SECONDS)
        try:
            if reclaimed := await stores.ledger.reclaim_open_calls():
                logger.warning("gave back %d calls that a process left open", reclaimed)
        except StorageError as error:
            logger.warning("calls left open could not be given back, trying again later: %s", error)
        await engine.forget_gone()


async def _retain(stores: Stores, engine: Engine, days: int) -> None:
    """Delete conversations that nobody touched for so many days, now and every hour."""
    watch = JumpWatch(stores.clock)
    while True:
        try:
            if await _delete_untouched(stores, days, watch):
                await engine.forget_gone()
        except StorageError as error:
            logger.warning("old conversations could not be deleted, trying again later: %s", error)
        await asyncio.sleep(RETENTION_CHECK_SECONDS)


async def _delete_untouched(stores: Stores, days: int, watch: JumpWatch) -> int:
    """Delete what is old enough, out of the database's files too; returns how many conversations that were."""
    if watch.has_jumped():
        logger.warning("the clock jumped ahead: no conversation is deleted before the next hour")
        return 0
    before = stores.clock.now() - timedelta(days=days)
    deleted = await stores.conversations.delete_untouched(before) + await stores.chats.delete_untouched(before)
    if deleted:
        # Only then are the words gone from the files too.
        await stores.conversations.erase_traces()
        logger.info("deleted %d conversations untouched for %d days", deleted, days)
    return deleted


async def _first_token(stores: Stores, settings: Settings) -> str | None:
    """Make an API token on the very first start, so that the first call is one paste away."""
    issued = await stores.tokens.create_first("first", daily_calls=settings.daily_calls, mature=settings.mature)
    return None if issued is None else issued.secret


def _discord_state(settings: Settings, *, with_bot: bool) -> str:
    if not with_bot:
        return "runs apart (parley bot)" if settings.service_token is not None else NOBODY_MAY_ACT
    return DISCORD_STEPS if settings.discord_token is None else "logging in; the log says when it is done"


class Beside:
    """Tasks that run beside the service and end with it."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, steps: Coroutine[Any, Any, None]) -> None:
        """Run steps until `end`; should they fail before, the log says so."""
        task = asyncio.create_task(steps)
        task.add_done_callback(_report)
        self._tasks.append(task)

    async def end(self, *, hurry: asyncio.Event | None = None) -> None:
        """Cancel every task and wait for its orderly end, less patiently once `hurry` is set. Safe to call twice."""
        for task in self._tasks:
            task.cancel()
        if hurry is not None and self._tasks:
            hurrying = asyncio.create_task(_then_cancel(hurry, self._tasks))
            await asyncio.wait(self._tasks)
            hurrying.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _then_cancel(hurry: asyncio.Event, tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks that are draining once more: then they end at once."""
    await hurry.wait()
    for task in tasks:
        task.cancel()


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("a background task failed: %s", type(error).__name__)
