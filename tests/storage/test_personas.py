import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.database import Database
from storage.errors import TooManyError, TooManyPersonasError
from storage.names import fold_name
from storage.personas import Persona, Personas
from tests.storage.conftest import ManualClock

GUILD = 2**63 - 1


@pytest.fixture
def personas(database: Database, clock: ManualClock) -> Personas:
    return Personas(database, clock=clock)


async def save(personas: Personas, name: str, text: str = "text", *, guild_id: int = GUILD, limit: int = 25) -> None:
    await personas.save(guild_id, name, text, created_by=5, limit=limit)


async def names(personas: Personas, guild_id: int = GUILD) -> list[str]:
    return [persona.name for persona in await personas.list(guild_id)]


async def test_a_saved_persona_comes_back_whole(personas: Personas, clock: ManualClock) -> None:
    text = "You are a poet.\n" * 5_000
    await save(personas, "  Poet \N{FEATHER}", text)
    expected = Persona(name="Poet \N{FEATHER}", text=text, created_by=5, created_at=clock.now())
    assert await personas.get(GUILD, "poet \N{FEATHER}") == expected
    assert await personas.list(GUILD) == [expected]
    assert await personas.get(GUILD, "poet") is None
    assert await personas.get(1, "Poet \N{FEATHER}") is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Pirate", "PIRATE"),
        ("Straße", "STRASSE"),
        ("Café", "CAFE\N{COMBINING ACUTE ACCENT}"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        (" padded", "padded "),
    ],
)
async def test_a_name_in_another_case_is_the_same_persona(
    personas: Personas, clock: ManualClock, first: str, second: str
) -> None:
    await save(personas, first, "old")
    clock.advance(timedelta(days=1))
    await personas.save(GUILD, second, "new", created_by=6, limit=1)
    expected = Persona(name=second.strip(), text="new", created_by=6, created_at=clock.now())
    assert await personas.list(GUILD) == [expected]
    assert await personas.get(GUILD, first) == expected
    assert await personas.delete(GUILD, first)
    assert await personas.list(GUILD) == []


@given(st.text(max_size=32))
def test_a_name_compares_the_same_in_upper_and_lower_case(name: str) -> None:
    assert fold_name(fold_name(name)) == fold_name(name)
    assert fold_name(name.lower().upper()) == fold_name(name.lower().upper().lower())


async def test_a_server_saves_no_more_than_its_limit_and_may_still_replace(personas: Personas) -> None:
    for name in ("a", "b"):
        await save(personas, name, limit=2)
    with pytest.raises(TooManyPersonasError) as caught:
        await save(personas, "c", limit=2)
    assert caught.value.limit == 2
    assert isinstance(caught.value, TooManyError)
    assert await names(personas) == ["a", "b"]
    await save(personas, "A", "new", limit=1)
    assert await names(personas) == ["A", "b"]
    await save(personas, "c", guild_id=1, limit=2)


async def test_of_simultaneous_saves_exactly_as_many_succeed_as_there_is_room(personas: Personas) -> None:
    saves = [save(personas, f"name {number}", limit=5) for number in range(20)]
    outcomes = await asyncio.gather(*saves, return_exceptions=True)
    assert sum(isinstance(outcome, TooManyPersonasError) for outcome in outcomes) == 15
    assert len(await personas.list(GUILD)) == 5


async def test_personas_are_listed_by_name_whatever_its_case(personas: Personas) -> None:
    for name in ("b", "C", "a", "Ä"):
        await save(personas, name)
    assert await names(personas) == ["a", "b", "C", "Ä"]


async def test_deleting_touches_only_that_persona_of_that_server(personas: Personas) -> None:
    for guild_id in (1, 2):
        for name in ("a", "b"):
            await save(personas, name, guild_id=guild_id)
    assert await personas.delete(1, "A")
    assert not await personas.delete(1, "A")
    assert (await names(personas, 1), await names(personas, 2)) == (["b"], ["a", "b"])


@pytest.mark.parametrize("name", ["", "  ", "x" * 33, "a\nb", "a\0", "\ud800"])
async def test_an_unusable_name_is_refused_with_words(personas: Personas, name: str) -> None:
    with pytest.raises(ValueError, match="name: "):
        await save(personas, name)
    assert await personas.list(GUILD) == []
