"""`parley doctor`: tries each part in turn and says what to do about the first that fails.

Owns: the order of the checks and their lines. Does not own: the parts; each check uses the very code that `up` uses.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from rich.console import Console

from api.abilities import describe, within_abilities
from api.contract import ChatMessage, ChatRequest
from api.native import to_sampling
from bot.addresses import GatewayAdvice
from bot.errors import DiscordLoginError, RefusedError
from bot.runner import check_login
from generation.abilities import ABILITIES, Abilities
from generation.engine import Engine, Message, Piece
from generation.errors import GenerationError
from generation.remote.address import read_addresses
from parley.engine_choice import ChosenEngine, choose_engine
from parley.failure import FailureError
from parley.keeping import describe_keeping
from parley.lifetime import bot_config
from parley.service_check import ask_service
from parley.settings import Settings, SettingsError, load_settings
from parley.shards import read_shard_ids
from parley.stores import open_stores
from storage.errors import StorageError

_TRIED_ADAPTERS = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One checked part. `advice` is what it found, or what to do."""

    part: str
    is_good: bool
    advice: str


async def examine(console: Console) -> bool:
    """Print a line per part; say whether all is well."""
    is_well = True
    async for finding in check():
        mark = "[green]ok  [/green]" if finding.is_good else "[red]FAIL[/red]"
        console.print(f"{mark} {finding.part:<9} ", end="")
        console.print(finding.advice, markup=False, highlight=False, soft_wrap=True)
        is_well = is_well and finding.is_good
    return is_well


async def check() -> AsyncIterator[Finding]:
    """Check part after part; without settings there is nothing more to try."""
    try:
        settings = load_settings()
    except SettingsError as error:
        yield Finding("settings", is_good=False, advice=str(error))
        return
    yield Finding("settings", is_good=True, advice="every name and value is known")
    yield await _try("database", lambda: _check_database(settings))
    yield await _try("model", lambda: _check_model(settings))
    yield Finding("engine", is_good=True, advice=_describe_engine(settings))
    yield Finding("warmth", is_good=True, advice=describe_keeping(settings))
    yield await _try("service", lambda: check_service(settings))
    yield await _try("Discord", lambda: _check_discord(settings))


async def _try(part: str, step: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(part, is_good=True, advice=await step())
    except (SettingsError, StorageError, GenerationError, DiscordLoginError, FailureError) as error:
        return Finding(part, is_good=False, advice=str(error))


async def _check_database(settings: Settings) -> str:
    async with open_stores(settings) as stores:
        return f"{stores.database.label} opens; {await stores.tokens.count()} API tokens"


async def _check_model(settings: Settings) -> str:
    chosen = await choose_engine(settings)
    engine = chosen.create(None)
    try:
        await engine.start()
        asked = [(chosen.description, None), *((what, name) for name, what in _adapters(chosen))]
        said = [f"{what} answers: {await _greet(engine, chosen.abilities, name)!r}" for what, name in asked]
    finally:
        await engine.close()
    if settings.engine == "remote":
        said += [sentence.replace("`", "") for sentence in describe(chosen.abilities)]
    return "\n       - ".join(said)


def _adapters(chosen: ChosenEngine) -> Sequence[tuple[str, str]]:
    """List what is tried beside the model itself: a few, for a gateway's list may have no end."""
    return chosen.others[:_TRIED_ADAPTERS]


async def _greet(engine: Engine, abilities: Abilities, adapter: str | None) -> str:
    """Have the model, or one of its LoRA adapters, say something."""
    prompt = await engine.encode_chat([Message("user", "Hello!")])
    asked = ChatRequest(messages=[ChatMessage(role="user", content="")])
    options = within_abilities(to_sampling(asked), abilities, asked=asked)
    options = replace(options, max_tokens=24, adapter=adapter)
    async with aclosing(engine.generate(prompt, options)) as events:
        return "".join([event.text async for event in events if isinstance(event, Piece)]).strip()


def _describe_engine(settings: Settings) -> str:
    """Name the engine, and what is particular about it in lines beneath."""
    if settings.engine == "remote":
        return f"remote, {len(read_addresses(settings.engine_url or ''))} servers; what they can do stands above"
    notes = [f"\n       - {sentence}".replace("`", "") for sentence in describe(ABILITIES[settings.engine])]
    return "".join([settings.engine, *notes])


async def _check_discord(settings: Settings) -> str:
    if settings.discord_token is None:
        return "off; set DISCORD_TOKEN to turn it on"
    login = await check_login(bot_config(settings, url=settings.listening_url(), service_token=""))
    return f"logs in as {login.name}\n       - {describe_shards(settings, login.advice)}"


def describe_shards(settings: Settings, advice: GatewayAdvice) -> str:
    """Say which shards a process is for, beside what Discord recommends."""
    ids, count = read_shard_ids(settings.shard_ids), settings.shard_count
    recommended = f"Discord recommends {advice.shards} and lets {advice.max_concurrency} identify every 5 s"
    if ids is None or count is None:
        return f"this process is for all of {count or advice.shards} shards; {recommended}"
    return f"this process is for {len(ids)} of {count} shards ({settings.shard_ids}); {recommended}"


async def check_service(settings: Settings) -> str:
    """Say where the bot's requests go; raises `FailureError` when they would not be answered."""
    if settings.api_url is None:
        return _describe_own_service(settings)
    if settings.service_token is None:
        raise FailureError("PARLEY_API_URL: needs PARLEY_SERVICE_TOKEN, the same secret as that service; set both")
    try:
        await ask_service(settings.api_url, settings.service_token.get_secret_value())
    except RefusedError:
        raise FailureError(f"PARLEY_API_URL: the service at {settings.api_url} does not answer; start it") from None
    return f"{settings.api_url} answers and takes PARLEY_SERVICE_TOKEN"


def _describe_own_service(settings: Settings) -> str:
    if settings.service_token is None:
        return "the bot's own; for `parley api` and `parley bot` apart set PARLEY_SERVICE_TOKEN"
    return "the bot's own, or `parley api` with PARLEY_SERVICE_TOKEN; set PARLEY_API_URL for `parley bot`"
