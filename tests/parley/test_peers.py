"""Several processes of the service on one PostgreSQL: what a dead one has left open comes back, and nothing else."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from parley.peers import DEAD_LOOKS, Peers
from parley.settings import Settings, load_settings
from parley.stores import Stores, open_stores
from storage.service_processes import OpenCalls
from tests.postgresql_server import running_server


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    server = running_server()
    with server.new_database() as name:
        monkeypatch.setenv("DATABASE_URL", server.url(name))
        yield load_settings(tmp_path / ".env")


@pytest.fixture
async def stores(settings: Settings) -> AsyncIterator[list[Stores]]:
    """Three processes' worth."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_stores(settings, sole_service=True)) for _ in range(3)]


async def used(stores: Stores) -> int:
    return (await stores.ledger.used_today("tenant", limit=10)).used


async def test_a_dead_process_is_noticed_and_what_it_had_open_given_back(stores: list[Stores]) -> None:
    first, second, third = (Peers(each, may_have_others=True) for each in stores)
    await first.join()
    charges = [await each.ledger.charge("tenant", limit=10) for each in stores]
    await second.join()
    await third.join()
    assert await used(stores[0]) == 3
    for peers, charge in zip((first, second), charges, strict=False):
        peers.list_open = lambda charge=charge: [OpenCalls("tenant", charge.day, 1)]  # type: ignore[misc]
    third.list_open = lambda: [OpenCalls("tenant", charges[2].day, 1)]
    await third.look()
    for _ in range(DEAD_LOOKS):
        await first.look()
        await second.look()
        assert await used(stores[0]) == 3
    await first.look()
    assert await used(stores[0]) == 2
    await second.look()
    assert await used(stores[0]) == 2
    await third.look()
    assert set(await stores[0].service_processes.list_beats()) >= {first._id, second._id, third._id}


async def test_one_that_is_alone_gives_everything_back_at_its_start(stores: list[Stores]) -> None:
    await stores[0].ledger.charge("tenant", limit=10)
    peers = Peers(stores[1], may_have_others=True)
    await peers.join()
    assert await used(stores[0]) == 0


async def test_an_orderly_end_leaves_nothing_or_what_could_not_be_closed(stores: list[Stores]) -> None:
    closed, still_open, other = (Peers(each, may_have_others=True) for each in stores)
    for each in (closed, still_open, other):
        await each.join()
    charge = await stores[1].ledger.charge("tenant", limit=10)
    still_open.list_open = lambda: [OpenCalls("tenant", charge.day, 1)]
    await closed.leave()
    await still_open.leave()
    assert len(await stores[0].service_processes.list_beats()) == 2
    for _ in range(DEAD_LOOKS + 1):
        await other.look()
    assert await used(stores[0]) == 0
    assert len(await stores[0].service_processes.list_beats()) == 1


async def test_where_nobody_else_may_be_nobody_is_told(stores: list[Stores]) -> None:
    await stores[0].ledger.charge("tenant", limit=10)
    alone = Peers(stores[1], may_have_others=False)
    await alone.join()
    await alone.watch()
    await alone.leave()
    assert await used(stores[0]) == 0
    assert await stores[0].service_processes.list_beats() == {}
