import asyncio

from storage.database import Database
from storage.notes import Notes


async def test_a_note_is_read_back_and_replaced(database: Database) -> None:
    notes = Notes(database)
    assert await notes.get("commands") is None
    await notes.put("commands", "one")
    await notes.put("commands", "two")
    await notes.put("other", "")
    assert await notes.get("commands") == "two"
    assert await notes.get("other") == ""


async def test_of_those_who_put_the_same_note_at_once_one_hears_that_it_is_new(database: Database) -> None:
    notes = Notes(database)
    assert sorted(await asyncio.gather(*(notes.put_new("greeted", "monday") for _ in range(5)))) == [False] * 4 + [True]
    assert await notes.put_new("greeted", "tuesday")
    assert await notes.get("greeted") == "tuesday"


async def test_a_note_survives_a_restart(database: Database, url: str) -> None:
    await Notes(database).put("commands", "v1 \N{SNOWMAN}")
    await database.close()
    again = await Database.open(url)
    try:
        assert await Notes(again).get("commands") == "v1 \N{SNOWMAN}"
    finally:
        await again.close()
