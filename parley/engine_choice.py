"""Which engine the settings mean, and what the service must know of it before it starts.

Owns: what a local model and a remote one have in common for the rest of the program. Does not own: finding a model's
file (`model_file.py`), or asking a server (`generation/remote/learn.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from generation.abilities import ABILITIES, Abilities
from generation.devices import ComputesOn
from generation.engine import Engine
from generation.remote.address import read_addresses
from generation.remote.engine import RemoteEngine, usable_context
from generation.remote.learn import RemoteConfig, learn
from generation.warmth import Keeping
from parley.model_file import choose_model, create_engine
from parley.settings import MODEL_DEMO, Settings
from parley.threads import in_daemon_thread


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenEngine:
    """An engine that is not started yet. `description` says which model it has, for people.

    `others` are the names that requests may call beside `name`, with what each is. `create` makes the engine, which may
    keep what it is told; `can_keep` says that it gains by keeping anything.
    """

    name: str
    description: str
    is_demo: bool
    context_tokens: int
    abilities: Abilities
    others: Sequence[tuple[str, str]]
    can_keep: bool
    create: Callable[[Keeping | None], Engine]


async def choose_engine(settings: Settings) -> ChosenEngine:
    """Find the model or ask the servers for theirs; raises `ModelError`."""
    if settings.engine == "remote":
        return await _choose_remote(settings)
    model = await in_daemon_thread(choose_model, settings)
    return ChosenEngine(
        name=model.name,
        description=model.description,
        is_demo=model.is_demo,
        context_tokens=model.context_tokens,
        abilities=ABILITIES[settings.engine],
        others=[(adapter.name, str(adapter.path)) for adapter in model.adapters],
        can_keep=settings.engine == "llama.cpp" and model.config.computes_on is not ComputesOn.GPU,
        create=lambda keeping: create_engine(settings, model, keeping=keeping),
    )


async def _choose_remote(settings: Settings) -> ChosenEngine:
    config = remote_config(settings)
    cluster = await learn(config)
    facts = cluster.facts
    name, *others = facts.names
    where = config.addresses[0].root if len(config.addresses) == 1 else f"{len(config.addresses)} servers"
    return ChosenEngine(
        name=name,
        description=f"{name} ({facts.kind}, {where})",
        is_demo=False,
        context_tokens=usable_context(config, cluster),
        abilities=cluster.abilities,
        others=[(each, each) for each in others],
        can_keep=False,
        create=lambda _: RemoteEngine(config, cluster),
    )


def remote_config(settings: Settings) -> RemoteConfig:
    """Collect what the remote engine needs."""
    return RemoteConfig(
        addresses=read_addresses(settings.engine_url or ""),
        # Its default names the bundled model, which no server has.
        model=None if settings.model == MODEL_DEMO else settings.model,
        context_tokens=settings.context,
        slots=settings.parallel,
        api_key=None if settings.engine_api_key is None else settings.engine_api_key.get_secret_value(),
    )
