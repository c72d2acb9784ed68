"""Several services as their operator starts them, on one PostgreSQL that goes and returns."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from parley.doctor import _check_database
from parley.settings import Settings
from storage.clock import SystemClock
from storage.database import Database
from storage.days import DayZone
from storage.ledger import Ledger
from storage.tokens import TokenStore
from tests.doubles.database_proxy import proxying
from tests.noon import NOON_ZONE
from tests.parley.process import Parley, run, started
from tests.postgresql_server import running_server

HELLO = {"messages": [{"role": "user", "content": "Hello!"}], "num_predict": 1}
SERVICES = 4
CALLS, LIMIT = 200, 50


@pytest.fixture
def url() -> Iterator[str]:
    server = running_server()
    with server.new_database(template="template1") as name:
        yield server.url(name)


async def start_services(stack: AsyncExitStack, folder: Path, url: str, count: int = SERVICES) -> list[Parley]:
    folders = [folder / str(number) for number in range(count)]
    for each in folders:
        each.mkdir()
    services = [
        await stack.enter_async_context(
            started(each, "api", DATABASE_URL=url, PARLEY_THREADS="1", PARLEY_MAX_QUEUE=str(CALLS))
        )
        for each in folders
    ]
    await asyncio.gather(*(service.until_ready(within_seconds=120) for service in services))
    # A first token is made after that, where there is none.
    await asyncio.gather(*(service.until_printed("Stop with Ctrl-C") for service in services))
    return services


async def test_four_services_that_charge_one_token_allow_exactly_its_calls(tmp_path: Path, url: str) -> None:
    async with AsyncExitStack() as stack:
        # They migrate an empty database together.
        services = await start_services(stack, tmp_path, url)
        database = await Database.open(url)
        stack.push_async_callback(database.close)
        issued = await TokenStore(database, clock=SystemClock()).create("many", daily_calls=LIMIT)
        session = await stack.enter_async_context(aiohttp.ClientSession(headers={"Authorization": issued.secret}))

        async def ask(number: int) -> int:
            async with session.post(f"{services[number % SERVICES].url}/ai/chat", json=HELLO) as response:
                return response.status

        answers = Counter(await asyncio.gather(*(ask(number) for number in range(CALLS))))
        assert answers == {200: LIMIT, 429: CALLS - LIMIT}
        usage = await Ledger(database, zone=DayZone(NOON_ZONE), clock=SystemClock()).usage(issued.token.id)
        assert usage.used_today == LIMIT
        assert await TokenStore(database, clock=SystemClock()).count() == 2, "theirs, and one first token for all"


async def test_a_database_that_is_away_is_a_503_until_it_is_back(tmp_path: Path) -> None:
    server = running_server()
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(proxying(server.socket_path))
        name = stack.enter_context(server.new_database())
        (service,) = await start_services(stack, tmp_path, proxy.url(name), 1)
        database = await Database.open(server.url(name))
        stack.push_async_callback(database.close)
        issued = await TokenStore(database, clock=SystemClock()).create("one", daily_calls=9)
        session = await stack.enter_async_context(aiohttp.ClientSession(headers={"Authorization": issued.secret}))

        async def ask() -> tuple[int, str | None]:
            async with session.post(f"{service.url}/ai/chat", json=HELLO) as response:
                return response.status, response.headers.get("Retry-After")

        async def ready() -> int:
            async with session.get(f"{service.url}/readyz") as response:
                return response.status

        assert (await ask())[0] == 200
        await proxy.cut()
        assert await ask() == (503, "5")
        assert await ready() == 503
        async with session.get(f"{service.url}/metrics") as response:
            assert "parley_database_ready 0.0" in await response.text()
        await proxy.restore()
        assert (await ask())[0] == 200
        assert await ready() == 200
        ledger = Ledger(database, zone=DayZone(NOON_ZONE), clock=SystemClock())
        assert (await ledger.usage(issued.token.id)).used_today == 2
        assert "Traceback" not in service.printed()
        assert service.printed().count("no writes: database") == 1


async def test_a_database_that_cannot_be_used_is_one_line_at_the_start(tmp_path: Path) -> None:
    status, _, error = await run(tmp_path, "api", DATABASE_URL="postgres://u:secret@127.0.0.1:1/parley")
    assert status == 1
    assert (
        error.strip()
        .splitlines()[-1]
        .endswith(
            "database postgresql://u@127.0.0.1:1/parley takes no connections; "
            "start it, or check host and port in DATABASE_URL"
        )
    )
    assert "Traceback" not in error
    assert "secret" not in error


async def test_the_doctor_names_the_database_without_its_password() -> None:
    server = running_server()
    with server.new_database() as name:
        settings = Settings(DATABASE_URL=server.url(name, user="postgres:hunter2"), _env_file=None)
        said = await _check_database(settings)
        assert f"/{name} opens; 0 API tokens" in said
        assert "hunter2" not in said + repr(settings)
