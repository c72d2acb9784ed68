"""Learns before the start what all servers can do, and says in one line what is wrong with one that cannot be used.

Owns: how often a server is asked that does not answer yet, and the words. Does not own: what is asked (`look.py`,
`probing.py`, `scan.py`).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

from generation.client import EngineRefusedError
from generation.engine import Message
from generation.errors import EngineUnavailableError, ModelError
from generation.remote.address import Address
from generation.remote.cluster import Cluster, make_encoder
from generation.remote.facts import Facts
from generation.remote.look import WrongServerError, look
from generation.remote.probing import probe, tries_tools
from generation.remote.replica import Watching
from generation.remote.scan import read_vocabulary
from generation.remote.wire import Patience, RemoteClient

_LOG = logging.getLogger(__name__)

SETTING = "PARLEY_ENGINE_URL"

START_SECONDS = 5.0
"""How long servers may take to answer at all: those that are started together with Parley."""
LOAD_SECONDS = 600.0
"""How long one may take that says that it is loading its model."""
_PAUSE_SECONDS = 0.5

_LOADING = "the model is loading"

Outcome = Facts | WrongServerError | EngineUnavailableError

_HELLO = [Message("user", "Hello!")]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteConfig:
    """What the operator chose. `model` is a name of the servers' list, None for the only one.

    `context_tokens` is what one request may use at most, `slots` how many requests run at once on all servers together.
    """

    addresses: Sequence[Address]
    model: str | None
    context_tokens: int
    slots: int
    api_key: str | None = field(default=None, repr=False)
    patience: Patience = field(default_factory=Patience)
    watching: Watching = field(default_factory=Watching)
    start_seconds: float = START_SECONDS


async def learn(config: RemoteConfig) -> Cluster:
    """Ask every server; those that do not answer are left out, as long as one does.

    Raises `ModelError` with one line for the operator.
    """
    async with _clients(config) as clients:
        results = await _look_at_all(clients, config)
        found: list[tuple[Address, RemoteClient, Facts]] = []
        for address, client, result in zip(config.addresses, clients, results, strict=True):
            if isinstance(result, WrongServerError):
                raise ModelError(f"{SETTING}: {address} {result}")
            if isinstance(result, Facts):
                found.append((address, client, result))
            else:
                _LOG.warning("%s does not answer: %s", address, result.reason)
        if not found:
            raise ModelError(f"{SETTING}: {_explain_absence(config.addresses)}")
        _require_alike(found)
        _, client, facts = found[0]
        context_tokens = min((each.context_tokens for _, _, each in found if each.context_tokens), default=None)
        facts = replace(facts, context_tokens=context_tokens)
        try:
            return await _learn_more(client, facts)
        except EngineUnavailableError as error:
            raise ModelError(f"{SETTING}: {found[0][0]} fails: {error.reason}; its log may say why") from None
        except EngineRefusedError as error:
            raise ModelError(
                f"{SETTING}: {found[0][0]} answers with status {error.status}; its log may say why"
            ) from None


@asynccontextmanager
async def _clients(config: RemoteConfig) -> AsyncIterator[list[RemoteClient]]:
    async with AsyncExitStack() as stack:
        clients = [RemoteClient(each, config.api_key, patience=config.patience) for each in config.addresses]
        for client in clients:
            stack.push_async_callback(client.close)
        yield clients


async def _look_at_all(clients: Sequence[RemoteClient], config: RemoteConfig) -> list[Outcome]:
    """Look at every server; once one is there, the others have only as long as one that is started together with it."""
    looking = [asyncio.create_task(_look_until_it_answers(client, config)) for client in clients]
    try:
        pending = set(looking)
        while pending and not any(task.done() and isinstance(task.result(), Facts) for task in looking):
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if pending:
            await asyncio.wait(pending, timeout=config.start_seconds + config.patience.document)
        return [task.result() if task.done() else EngineUnavailableError(_LOADING) for task in looking]
    finally:
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)


async def _look_until_it_answers(client: RemoteClient, config: RemoteConfig) -> Outcome:
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        try:
            return await look(client, config.model)
        except WrongServerError as error:
            return error
        except EngineRefusedError as error:
            failure = EngineUnavailableError(f"it answers with status {error.status}")
        except EngineUnavailableError as error:
            failure = error
        patience = LOAD_SECONDS if failure.reason == _LOADING else config.start_seconds
        if loop.time() - began + _PAUSE_SECONDS > patience:
            return failure
        await asyncio.sleep(_PAUSE_SECONDS)


def _require_alike(found: Sequence[tuple[Address, RemoteClient, Facts]]) -> None:
    """Refuse servers between which a conversation could not move. Their contexts may differ: the smallest holds."""
    first, _, facts = found[0]
    for address, _, others in found[1:]:
        difference = replace(others, context_tokens=None).differs_from(replace(facts, context_tokens=None))
        if difference is not None:
            raise ModelError(f"{SETTING}: {address} is not like {first}: {difference}; give all the same model")


def _explain_absence(addresses: Sequence[Address]) -> str:
    if len(addresses) == 1:
        return f"{addresses[0]} cannot be reached; start it, or set another"
    return f"none of the {len(addresses)} engine servers can be reached; start one, or set others"


async def _learn_more(client: RemoteClient, facts: Facts) -> Cluster:
    _LOG.info("asking the engine servers (%s) what %s can do", facts.kind, facts.names[0])
    vocabulary = await read_vocabulary(facts, client.post)
    encoder = make_encoder(facts, vocabulary, client.post)
    prompt = [] if encoder is None else await encoder.encode_chat(_HELLO)
    return Cluster(
        facts=facts,
        vocabulary=vocabulary,
        abilities=await probe(client, facts, prompt),
        takes_tools=await tries_tools(client, facts),
    )
