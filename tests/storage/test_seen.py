"""Any sequence of turns, edits, deletions and wishes to be forgotten leaves what the model says can be seen."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from storage.conversations import Conversations, NewMessage
from storage.database import Database
from storage.posted import PostedPart
from tests.storage.conftest import ManualClock
from tests.storage.seen_model import Channels, Shown, Spoken

KEYS = ["channel:1", "channel:2", "private:1:11", "private:1:12", "private:11:111"]
AUTHORS = [11, 12, 111]
CHANNEL = 1

text = st.text("ab \n\N{SNOWMAN}\N{OLD ITALIC LETTER A}", max_size=4)
pieces = st.lists(text | st.sampled_from(["", " ", "\n"]), min_size=1, max_size=3)
key = st.sampled_from(KEYS)
author = st.sampled_from(AUTHORS)
# Which of the messages there ever were in Discord, newest first.
place = st.integers(0, 12)
action = st.one_of(
    st.tuples(st.just("turn"), key, author, st.booleans(), text, pieces),
    st.tuples(st.just("turn"), key, author, st.booleans(), text, pieces),
    st.tuples(st.just("edit"), place, text),
    st.tuples(st.just("delete"), st.lists(place, max_size=4)),
    st.tuples(st.just("regenerate"), key, pieces),
    st.tuples(st.just("forget"), author, st.none() | key),
)


class Players:
    """Does everything twice: in storage and in the model."""

    def __init__(self, kept: Conversations, ids: "count[int]") -> None:
        self._kept = kept
        self._model = Channels()
        self._ids = ids
        self._places: list[int] = []
        self._reply_ids: dict[Shown, int] = {}

    async def turn(self, key: str, author: int, is_command: bool, words: str, reply: Sequence[str]) -> None:
        question = Spoken(author, words, None if is_command else self._new_place())
        turn = await self._kept.append_turn(
            key,
            NewMessage(role="user", content=words, author_id=author, discord_message_id=question.message_id),
            NewMessage(role="assistant", content="".join(reply)),
            is_cut=False,
        )
        shown = Shown(author, question, {}, None)
        self._model.turn(key, question, shown)
        self._reply_ids[shown] = turn.reply_id
        await self._show(shown, reply)

    async def edit(self, place: int, words: str) -> None:
        for message_id in self._at([place]):
            assert await self._kept.edit_by_discord_id(message_id, words) == self._model.edit(message_id, words)

    async def delete(self, places: Sequence[int]) -> None:
        ids = self._at(places)
        assert await self._kept.delete_by_discord_ids(ids) == self._model.delete(ids)

    async def regenerate(self, key: str, reply: Sequence[str]) -> None:
        entries = self._model.seen.get(key, [])
        if entries and isinstance(shown := entries[-1], Shown):
            assert await self._kept.replace_reply(self._reply_ids[shown], "".join(reply), is_cut=False)
            await self._show(shown, reply)

    async def forget(self, author: int, key: str | None) -> None:
        forgotten = await self._kept.forget_author(author, key=key)
        assert (forgotten.messages, forgotten.conversations) == self._model.forget(author, key)

    async def compare(self) -> None:
        for key in KEYS:
            entries = self._model.seen.get(key, [])
            stored = [(message.role, message.content) for message in await self._kept.read(key)]
            assert stored == [("user" if isinstance(entry, Spoken) else "assistant", entry.text) for entry in entries]
            assert await self._kept.count(key) == len(entries)
            last = await self._kept.last_reply(key)
            assert (last is not None) == bool(entries and isinstance(entries[-1], Shown))
        for place in self._places:
            await self._compare_place(place)

    async def _compare_place(self, place: int) -> None:
        found = await self._kept.find_posted(place)
        here = [
            (key, entry, entries[-1] is entry)
            for key, entries in self._model.seen.items()
            for entry in entries
            if isinstance(entry, Shown) and place in entry.pieces
        ]
        assert (found is not None) == bool(here)
        for key, shown, is_last in here:
            assert found is not None
            assert (found.conversation_key, found.text, found.asker_id) == (key, shown.text, shown.asker)
            assert (found.question_id is None, found.is_last) == (shown.question is None, is_last)
            assert {part.discord_message_id: part.characters for part in found.parts} == {
                at: len(piece) for at, piece in shown.pieces.items()
            }

    async def _show(self, shown: Shown, reply: Sequence[str]) -> None:
        shown.pieces = {self._new_place(): piece for piece in reply}
        shown.head_id = next(iter(shown.pieces))
        parts = [
            PostedPart(discord_message_id=at, channel_id=CHANNEL, characters=len(piece))
            for at, piece in shown.pieces.items()
        ]
        assert await self._kept.link(self._reply_ids[shown], parts, asker_id=shown.asker)

    def _new_place(self) -> int:
        self._places.append(next(self._ids))
        return self._places[-1]

    def _at(self, places: Sequence[int]) -> list[int]:
        return [self._places[-1 - place] for place in places if place < len(self._places)]


async def play(kept: Conversations, ids: "count[int]", actions: Sequence[tuple[str, *tuple[object, ...]]]) -> None:
    for key in KEYS:
        await kept.clear(key)
    players = Players(kept, ids)
    for name, *arguments in actions:
        await getattr(players, name)(*arguments)
    await players.compare()


def test_conversations_are_what_people_can_see(tmp_path: Path) -> None:
    ids = count(1)
    with asyncio.Runner() as runner:
        database = runner.run(Database.open(f"sqlite:///{tmp_path}/parley.db"))
        kept = Conversations(database, clock=ManualClock(datetime(2026, 11, 20, tzinfo=UTC)))

        # No shrinking: it would outlast the time a test may take, and so few actions can be read as they are.
        @settings(max_examples=30, deadline=None, phases=[Phase.reuse, Phase.generate])
        @given(st.lists(action, max_size=15))
        def check(actions: list[tuple[str, *tuple[object, ...]]]) -> None:
            runner.run(play(kept, ids, actions))

        try:
            check()
        finally:
            runner.run(database.close())
