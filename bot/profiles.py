"""What the bot is in a channel: its persona, sampling options and model, from the channel, its parent or the defaults.

Owns: which of the three holds. A thread follows the channel it belongs to, except where it has a persona, an option or
a model of its own. Does not own: how these are changed (`cogs/persona.py`, `cogs/settings.py`), or the defaults of a
reply, which whoever asks the model adds.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import discord
from pydantic import ValidationError

from api.contract import SamplingFields
from bot.config import BotConfig
from bot.errors import RefusedError
from storage.channels import ChannelProfile, ChannelSettings

logger = logging.getLogger(__name__)

MODEL = "model"
"""The key of the model in `Profile.origins`; no sampling option is called so."""

ListModels = Callable[[], Awaitable[list[str]]]


class Origin(Enum):
    """Where something holds from."""

    HERE = "here"
    PARENT = "parent"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What holds in a channel.

    `system_prompt` is the same, byte for byte, until somebody changes the persona: the model's cache lives on that.
    `persona_name` is the saved persona's it was taken from. In `options` only what somebody chose is set; `origins`
    says where each of those was chosen, under its name or `MODEL`.
    """

    system_prompt: str
    persona_name: str | None
    options: SamplingFields
    model: str | None
    persona_origin: Origin = Origin.DEFAULT
    origins: Mapping[str, Origin] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """What was chosen for one channel."""

    origin: Origin
    chosen: ChannelProfile


class Profiles:
    """The profiles of all channels. `list_models` names the models there are; without it a chosen one is believed."""

    def __init__(self, channels: ChannelSettings, config: BotConfig, *, list_models: ListModels | None = None) -> None:
        self._channels = channels
        default = ChannelProfile(persona=config.system_prompt, persona_name=None, options={}, model=None)
        self._default = _Layer(origin=Origin.DEFAULT, chosen=default)
        self._list_models = list_models

    async def of(self, channel_id: int, parent_id: int | None) -> Profile:
        """Return what holds in a channel, DM or thread; `parent_id` is the channel of a thread.

        What was chosen under other rules, or for another model, is left out with a line in the log. Raises
        `StorageError`.
        """
        here = await self._channels.get(channel_id)
        parent = None if parent_id is None else await self._channels.get(parent_id)
        layers = [
            _Layer(origin=origin, chosen=chosen)
            for origin, chosen in ((Origin.HERE, here), (Origin.PARENT, parent))
            if chosen is not None
        ]
        values, origins = _options(layers, channel_id)
        model = await self._model(layers, channel_id)
        if model is not None:
            origins[MODEL] = model.origin
        persona = next((layer for layer in layers if layer.chosen.persona is not None), self._default)
        return Profile(
            system_prompt=persona.chosen.persona or "",
            persona_name=persona.chosen.persona_name,
            persona_origin=persona.origin,
            options=SamplingFields(**values),
            model=None if model is None else model.chosen.model,
            origins=origins,
        )

    async def _model(self, layers: list[_Layer], channel_id: int) -> _Layer | None:
        """Return the layer whose model holds: the first that names one there is."""
        for layer in layers:
            if layer.chosen.model is None:
                continue
            if await self._is_there(layer.chosen.model):
                return layer
            logger.warning("channel %s: the model chosen for it is no longer there, ignored", channel_id)
        return None

    async def _is_there(self, model: str) -> bool:
        if self._list_models is None:
            return True
        try:
            return model in await self._list_models()
        except RefusedError:
            # The request itself will tell what is wrong with the service.
            return True


def parent_id_of(channel: object) -> int | None:
    """Return the id of the channel that a thread belongs to; None for what is no thread."""
    return channel.parent_id if isinstance(channel, discord.Thread) else None


def taken_options(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the stored options that the contract takes today."""
    return {name: value for name, value in stored.items() if _is_taken(name, value)}


def _is_taken(name: str, value: object) -> bool:
    try:
        SamplingFields.model_validate({name: value})
    except ValidationError:
        return False
    return True


def _options(layers: list[_Layer], channel_id: int) -> tuple[dict[str, Any], dict[str, Origin]]:
    """Return each chosen option from the first layer that has it, and where that was."""
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    ignored: set[str] = set()
    for layer in layers:
        taken = taken_options(layer.chosen.options)
        ignored |= layer.chosen.options.keys() - taken.keys()
        for name, value in taken.items():
            values.setdefault(name, value)
            origins.setdefault(name, layer.origin)
    if ignored:
        logger.warning("channel %s: options that are no longer taken, ignored: %s", channel_id, sorted(ignored))
    return values, origins
