"""The operator's link: one at a time, used once, over after a day, and never kept itself."""

import asyncio
from datetime import timedelta
from pathlib import Path

from storage.database import Database
from storage.login_links import LIFETIME, LoginLinks
from tests.storage.conftest import ManualClock, bytes_on_disk


async def test_a_link_is_used_once(database: Database, clock: ManualClock) -> None:
    links = LoginLinks(database, clock=clock)
    code = await links.create()
    assert not await links.take("another")
    assert await links.take(code)
    assert not await links.take(code)


async def test_of_many_who_take_it_at_once_one_has_it(database: Database, clock: ManualClock) -> None:
    links = LoginLinks(database, clock=clock)
    code = await links.create()
    assert sum(await asyncio.gather(*(links.take(code) for _ in range(20)))) == 1


async def test_a_newer_link_ends_the_one_before(database: Database, clock: ManualClock) -> None:
    links = LoginLinks(database, clock=clock)
    older, newer = await links.create(), await links.create()
    assert not await links.take(older)
    assert await links.take(newer)


async def test_a_link_is_over_after_its_time(database: Database, clock: ManualClock) -> None:
    links = LoginLinks(database, clock=clock)
    code = await links.create()
    clock.advance(LIFETIME + timedelta(seconds=1))
    assert not await links.take(code)


async def test_nothing_but_a_digest_is_kept(database: Database, clock: ManualClock, path: Path) -> None:
    code = await LoginLinks(database, clock=clock).create()
    assert code.encode() not in bytes_on_disk(path)


async def test_texts_that_are_no_codes_are_none(database: Database, clock: ManualClock) -> None:
    links = LoginLinks(database, clock=clock)
    for text in ("", "\ud800", "é", "x" * 10_000):
        assert not await links.take(text)
    await links.create()
    assert not await links.take("\ud800")
