"""Conversations that nobody touched for long are deleted, but not because a wrong clock says so."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from parley.lifetime import _delete_untouched
from parley.settings import Settings
from parley.stores import Stores, open_stores
from storage.chats import Chats
from storage.clock import JumpWatch
from storage.conversations import Conversations
from storage.errors import ChatNotFoundError

DAYS = 30
TENANT = "tok_a"


class TurnedClock:
    """The clock, and the time that passed, as a test turns them."""

    def __init__(self) -> None:
        self.time = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
        self.steady = 0.0

    def now(self) -> datetime:
        return self.time

    def pass_time(self, span: timedelta) -> None:
        self.time += span
        self.steady += span.total_seconds()


async def is_kept(stores: Stores, chat_id: str) -> bool:
    try:
        await stores.chats.read(chat_id, tenant_id=TENANT)
    except ChatNotFoundError:
        return False
    return True


async def test_a_clock_that_is_wrong_for_less_than_an_hour_deletes_nothing(tmp_path: Path) -> None:
    clock = TurnedClock()
    watch = JumpWatch(clock, steady=lambda: clock.steady)
    settings = Settings(DATABASE_URL=f"sqlite:///{tmp_path}/parley.db", _env_file=None)
    async with open_stores(settings) as opened:
        database = opened.database
        stores = replace(
            opened,
            clock=clock,
            chats=Chats(database, clock=clock),
            conversations=Conversations(database, clock=clock),
        )
        chat = stores.chats.begin(system_prompt="")
        await stores.chats.add_turn(chat, "What?", "That.", tenant_id=TENANT)
        clock.time += timedelta(days=400)
        await _delete_untouched(stores, DAYS, watch)
        assert await is_kept(stores, chat.id)
        clock.time -= timedelta(days=400)
        clock.pass_time(timedelta(hours=1))
        await _delete_untouched(stores, DAYS, watch)
        assert await is_kept(stores, chat.id)
        clock.pass_time(timedelta(days=DAYS))
        await _delete_untouched(stores, DAYS, watch)
        assert not await is_kept(stores, chat.id)
