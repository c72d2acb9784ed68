import asyncio
import math

import pytest
from sqlalchemy import func, select

from storage.channels import ChannelProfile, ChannelSettings, OptionValue
from storage.database import Database
from storage.schema import channel_settings
from tests.storage.conftest import ManualClock

CHANNEL = 2**63 - 1
GUILD = 2**62
ADMIN = 9


@pytest.fixture
def channels(database: Database, clock: ManualClock) -> ChannelSettings:
    return ChannelSettings(database, clock=clock)


async def give_persona(
    channels: ChannelSettings, text: str, *, channel: int = CHANNEL, name: str | None = None
) -> None:
    await channels.set_persona(channel, guild_id=GUILD, text=text, name=name, changed_by=ADMIN)


async def count_rows(database: Database) -> int:
    async with database.reading() as connection:
        number: int = await connection.scalar(select(func.count()).select_from(channel_settings))
    return number


async def test_a_channel_nobody_has_set_has_no_profile(channels: ChannelSettings) -> None:
    assert await channels.get(CHANNEL) is None
    assert not await channels.clear_persona(CHANNEL)
    assert not await channels.reset_options(CHANNEL)
    assert not await channels.delete_channel(CHANNEL)


async def test_a_persona_comes_back_as_it_was_set(channels: ChannelSettings) -> None:
    text = "You are a pirate.\n\N{SKULL AND CROSSBONES}" * 5_000
    await give_persona(channels, text, name="  Pirate ")
    assert await channels.get(CHANNEL) == ChannelProfile(persona=text, persona_name="Pirate", options={}, model=None)
    await give_persona(channels, "Plain.")
    assert await channels.get(CHANNEL) == ChannelProfile(persona="Plain.", persona_name=None, options={}, model=None)


async def test_options_are_replaced_as_a_whole(channels: ChannelSettings) -> None:
    first: dict[str, OptionValue] = {
        "temperature": 0.5,
        "stop": ["a", "b"],
        "mirostat": 1,
        "penalize_newline": False,
        "seed": None,
    }
    await channels.set_options(CHANNEL, guild_id=GUILD, options=first, model="small", changed_by=ADMIN)
    profile = await channels.get(CHANNEL)
    assert profile == ChannelProfile(persona=None, persona_name=None, options=first, model="small")
    await channels.set_options(CHANNEL, guild_id=GUILD, options={"top_k": 3}, model=None, changed_by=ADMIN)
    profile = await channels.get(CHANNEL)
    assert profile == ChannelProfile(persona=None, persona_name=None, options={"top_k": 3}, model=None)


async def test_persona_and_options_leave_each_other_alone(channels: ChannelSettings, database: Database) -> None:
    await give_persona(channels, "Pirate.", name="pirate")
    await channels.set_options(CHANNEL, guild_id=GUILD, options={"top_k": 3}, model="small", changed_by=ADMIN)
    both = ChannelProfile(persona="Pirate.", persona_name="pirate", options={"top_k": 3}, model="small")
    assert await channels.get(CHANNEL) == both
    assert await channels.clear_persona(CHANNEL)
    assert await channels.get(CHANNEL) == ChannelProfile(
        persona=None, persona_name=None, options={"top_k": 3}, model="small"
    )
    assert not await channels.clear_persona(CHANNEL)
    await give_persona(channels, "Poet.")
    assert await channels.reset_options(CHANNEL)
    assert await channels.get(CHANNEL) == ChannelProfile(persona="Poet.", persona_name=None, options={}, model=None)
    assert not await channels.reset_options(CHANNEL)
    assert await channels.clear_persona(CHANNEL)
    assert await channels.get(CHANNEL) is None
    assert await count_rows(database) == 0


@pytest.mark.parametrize("model", [None, "small"])
async def test_a_model_alone_is_something_to_reset_and_nothing_is_not(
    channels: ChannelSettings, database: Database, model: str | None
) -> None:
    await channels.set_options(CHANNEL, guild_id=GUILD, options={}, model=model, changed_by=ADMIN)
    assert await channels.reset_options(CHANNEL) is (model is not None)
    assert await channels.get(CHANNEL) is None
    assert await count_rows(database) == 0


async def test_who_changed_what_last_is_kept(channels: ChannelSettings, database: Database, clock: ManualClock) -> None:
    await give_persona(channels, "Pirate.")
    later = clock.now().replace(year=2027)
    clock.instant = later
    await channels.set_options(CHANNEL, guild_id=None, options={"top_k": 3}, model=None, changed_by=10)
    async with database.reading() as connection:
        (row,) = await connection.execute(select(channel_settings))
    assert (row.guild_id, row.changed_by, row.changed_at) == (None, 10, later)


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
async def test_a_number_json_does_not_have_is_refused_and_changes_nothing(
    channels: ChannelSettings, number: float
) -> None:
    await channels.set_options(CHANNEL, guild_id=GUILD, options={"top_p": 0.5}, model=None, changed_by=ADMIN)
    with pytest.raises(ValueError, match="JSON"):
        await channels.set_options(CHANNEL, guild_id=GUILD, options={"top_p": number}, model=None, changed_by=ADMIN)
    profile = await channels.get(CHANNEL)
    assert profile is not None
    assert profile.options == {"top_p": 0.5}


@pytest.mark.parametrize("name", ["", " ", "x" * 33, "a\nb"])
async def test_an_unusable_persona_name_is_refused_and_changes_nothing(channels: ChannelSettings, name: str) -> None:
    with pytest.raises(ValueError, match="name: "):
        await give_persona(channels, "Pirate.", name=name)
    assert await channels.get(CHANNEL) is None


async def test_a_deleted_channel_is_forgotten_and_no_other(channels: ChannelSettings) -> None:
    for channel, guild_id in ((1, 10), (2, 10), (3, None)):
        await channels.set_persona(channel, guild_id=guild_id, text="Pirate.", changed_by=ADMIN)
    assert await channels.delete_channel(1)
    assert [await channels.get(channel) is not None for channel in (1, 2, 3)] == [False, True, True]


async def test_simultaneous_changes_of_persona_and_options_both_stay(channels: ChannelSettings) -> None:
    await asyncio.gather(
        give_persona(channels, "Pirate."),
        channels.set_options(CHANNEL, guild_id=GUILD, options={"top_k": 3}, model=None, changed_by=ADMIN),
    )
    assert await channels.get(CHANNEL) == ChannelProfile(
        persona="Pirate.", persona_name=None, options={"top_k": 3}, model=None
    )
