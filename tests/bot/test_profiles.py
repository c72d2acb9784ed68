"""What holds in a channel: its own persona and options, its parent's, the defaults."""

import logging

import pytest

from api.contract import SamplingFields
from bot.config import BotConfig, BotStores
from bot.errors import ModelUnavailableError
from bot.profiles import MODEL, Origin, Profiles

CHANNEL, THREAD, GUILD, ADMIN = 100, 200, 300, 400


@pytest.fixture
def config() -> BotConfig:
    return BotConfig(token="t", api_url="", service_token="s", public_url="", system_prompt="You are Parley.")


@pytest.fixture
def profiles(stores: BotStores, config: BotConfig) -> Profiles:
    return Profiles(stores.channels, config)


async def _give_persona(stores: BotStores, channel_id: int, text: str, name: str | None = None) -> None:
    await stores.channels.set_persona(channel_id, guild_id=GUILD, text=text, name=name, changed_by=ADMIN)


async def _give_options(
    stores: BotStores, channel_id: int, options: dict[str, float | list[str]], model: str | None = None
) -> None:
    await stores.channels.set_options(channel_id, guild_id=GUILD, options=options, model=model, changed_by=ADMIN)


async def test_a_channel_nobody_has_changed_has_the_default_persona_and_sets_no_option(profiles: Profiles) -> None:
    profile = await profiles.of(CHANNEL, None)
    assert (profile.system_prompt, profile.persona_name, profile.model) == ("You are Parley.", None, None)
    assert profile.options.model_fields_set == set()
    assert (profile.persona_origin, profile.origins) == (Origin.DEFAULT, {})


async def test_a_channels_own_persona_and_options_hold_and_nothing_else_is_set(
    profiles: Profiles, stores: BotStores
) -> None:
    await _give_persona(stores, CHANNEL, "You are a pirate.", "pirate")
    await _give_options(stores, CHANNEL, {"temperature": 0.2, "stop": ["Arr"]}, "small")
    profile = await profiles.of(CHANNEL, None)
    assert (profile.system_prompt, profile.persona_name, profile.model) == ("You are a pirate.", "pirate", "small")
    assert profile.options.model_dump(exclude_unset=True) == {"temperature": 0.2, "stop": ["Arr"]}
    assert profile.persona_origin is Origin.HERE
    assert profile.origins == {"temperature": Origin.HERE, "stop": Origin.HERE, MODEL: Origin.HERE}


async def test_a_thread_follows_its_channel(profiles: Profiles, stores: BotStores) -> None:
    await _give_persona(stores, CHANNEL, "You are a pirate.")
    await _give_options(stores, CHANNEL, {"top_k": 7}, "small")
    profile = await profiles.of(THREAD, CHANNEL)
    assert (profile.system_prompt, profile.model) == ("You are a pirate.", "small")
    assert profile.options.model_dump(exclude_unset=True) == {"top_k": 7}
    assert profile.persona_origin is Origin.PARENT
    assert set(profile.origins.values()) == {Origin.PARENT}


async def test_what_a_thread_has_of_its_own_holds_each_on_its_own(profiles: Profiles, stores: BotStores) -> None:
    await _give_persona(stores, CHANNEL, "You are a pirate.")
    await _give_options(stores, CHANNEL, {"top_k": 7, "seed": 5}, "small")
    await _give_options(stores, THREAD, {"seed": 9})
    profile = await profiles.of(THREAD, CHANNEL)
    assert (profile.system_prompt, profile.model) == ("You are a pirate.", "small")
    assert profile.options.model_dump(exclude_unset=True) == {"top_k": 7, "seed": 9}
    assert profile.origins == {"top_k": Origin.PARENT, "seed": Origin.HERE, MODEL: Origin.PARENT}
    await _give_persona(stores, THREAD, "You are a parrot.")
    await stores.channels.reset_options(THREAD)
    profile = await profiles.of(THREAD, CHANNEL)
    assert (profile.system_prompt, profile.options.seed) == ("You are a parrot.", 5)
    assert (await profiles.of(CHANNEL, None)).system_prompt == "You are a pirate."


async def test_a_cleared_persona_falls_back_to_the_channels_then_to_the_default(
    profiles: Profiles, stores: BotStores
) -> None:
    await _give_persona(stores, CHANNEL, "You are a pirate.")
    await _give_persona(stores, THREAD, "You are a parrot.")
    await stores.channels.clear_persona(THREAD)
    assert (await profiles.of(THREAD, CHANNEL)).system_prompt == "You are a pirate."
    await stores.channels.clear_persona(CHANNEL)
    assert (await profiles.of(THREAD, CHANNEL)).system_prompt == "You are Parley."


async def test_the_system_prompt_is_byte_stable_whatever_else_changes(profiles: Profiles, stores: BotStores) -> None:
    await _give_persona(stores, CHANNEL, "Ünïcode\n\n  {braces} 🏴‍☠️", "pirate")
    first = (await profiles.of(CHANNEL, None)).system_prompt
    await _give_options(stores, CHANNEL, {"temperature": 1.5}, "small")
    await stores.personas.save(GUILD, "pirate", "another text", created_by=ADMIN, limit=50)
    assert (await profiles.of(CHANNEL, None)).system_prompt == first == "Ünïcode\n\n  {braces} 🏴‍☠️"


async def test_options_the_contract_no_longer_takes_are_left_out_with_one_line(
    profiles: Profiles, stores: BotStores, caplog: pytest.LogCaptureFixture
) -> None:
    await _give_options(stores, CHANNEL, {"temperature": 99, "vanished": 1, "top_k": 5, "stop": []})
    with caplog.at_level(logging.INFO, "bot.profiles"):
        profile = await profiles.of(CHANNEL, None)
    assert profile.options.model_dump(exclude_unset=True) == {"top_k": 5, "stop": []}
    assert profile.options == SamplingFields(top_k=5, stop=[])
    (record,) = caplog.records
    assert "['temperature', 'vanished']" in record.getMessage()


async def test_a_thread_falls_back_to_its_channel_for_an_option_that_is_no_longer_taken(
    profiles: Profiles, stores: BotStores
) -> None:
    await _give_options(stores, CHANNEL, {"temperature": 0.5})
    await _give_options(stores, THREAD, {"temperature": 99})
    assert (await profiles.of(THREAD, CHANNEL)).options.temperature == 0.5


async def test_a_model_that_is_no_longer_there_is_left_out(
    stores: BotStores, config: BotConfig, caplog: pytest.LogCaptureFixture
) -> None:
    async def list_models() -> list[str]:
        return ["small"]

    profiles = Profiles(stores.channels, config, list_models=list_models)
    await _give_options(stores, CHANNEL, {"top_k": 5}, "small")
    await _give_options(stores, THREAD, {"seed": 1}, "gone")
    with caplog.at_level(logging.INFO, "bot.profiles"):
        profile = await profiles.of(THREAD, CHANNEL)
    assert (profile.model, profile.origins[MODEL]) == ("small", Origin.PARENT)
    assert profile.options.model_dump(exclude_unset=True) == {"top_k": 5, "seed": 1}
    assert len(caplog.records) == 1
    assert "gone" not in caplog.text


async def test_a_chosen_model_is_believed_while_the_service_cannot_be_asked(
    stores: BotStores, config: BotConfig
) -> None:
    async def list_models() -> list[str]:
        raise ModelUnavailableError

    await _give_options(stores, CHANNEL, {}, "small")
    assert (await Profiles(stores.channels, config, list_models=list_models).of(CHANNEL, None)).model == "small"
