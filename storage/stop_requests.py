"""Presses on Stop that reached another process than the one that writes the reply, and what became of them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select, update

from storage.bot_schema import stop_requests
from storage.clock import Clock
from storage.database import Database
from storage.upserts import insert_or_update

KEPT = timedelta(minutes=1)
"""Whoever pressed has long been answered by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequest:
    """Somebody wants the reply in a Discord message stopped; `may_manage` says that they may stop anybody's."""

    discord_message_id: int
    presser_id: int
    may_manage: bool


class StopRequests:
    """The requests of one database; each is kept for a minute."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def ask(self, request: StopRequest) -> None:
        """Ask whichever process writes the reply to stop. Raises `StorageError`."""
        now = self._clock.now()
        values = {
            "presser_id": request.presser_id,
            "may_manage": request.may_manage,
            "is_stopped": None,
            "asked_at": now,
        }
        async with self._database.writing() as connection:
            await connection.execute(delete(stop_requests).where(stop_requests.c.asked_at <= now - KEPT))
            new = insert_or_update(connection, stop_requests).values(
                discord_message_id=request.discord_message_id, **values
            )
            await connection.execute(
                new.on_conflict_do_update(index_elements=[stop_requests.c.discord_message_id], set_=values)
            )

    async def find_open(self, discord_message_ids: Collection[int]) -> list[StopRequest]:
        """Return the requests for these messages that nobody has answered. Raises `StorageError`."""
        query = select(stop_requests).where(
            stop_requests.c.discord_message_id.in_(discord_message_ids), stop_requests.c.is_stopped.is_(None)
        )
        async with self._database.reading() as connection:
            rows = list(await connection.execute(query))
        return [
            StopRequest(discord_message_id=row.discord_message_id, presser_id=row.presser_id, may_manage=row.may_manage)
            for row in rows
        ]

    async def answer(self, discord_message_id: int, *, is_stopped: bool) -> None:
        """Say what became of a request: stopped, or refused. Raises `StorageError`."""
        async with self._database.writing() as connection:
            await connection.execute(
                update(stop_requests)
                .where(stop_requests.c.discord_message_id == discord_message_id)
                .values(is_stopped=is_stopped)
            )

    async def find_answer(self, discord_message_id: int) -> bool | None:
        """Return what became of a request, None while nobody has answered. Raises `StorageError`."""
        query = select(stop_requests.c.is_stopped).where(stop_requests.c.discord_message_id == discord_message_id)
        async with self._database.reading() as connection:
            answer: bool | None = await connection.scalar(query)
        return answer

    async def withdraw(self, discord_message_id: int) -> None:
        """Take a request back. Raises `StorageError`."""
        async with self._database.writing() as connection:
            await connection.execute(
                delete(stop_requests).where(stop_requests.c.discord_message_id == discord_message_id)
            )
