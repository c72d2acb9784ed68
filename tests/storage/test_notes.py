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


async def test_a_note_survives_a_restart(database: Database, url: str) -> None:
    await Notes(database).put("commands", "v1 \N{SNOWMAN}")
    await database.close()
    again = await Database.open(url)
    try:
        assert await Notes(again).get("commands") == "v1 \N{SNOWMAN}"
    finally:
        await again.close()
