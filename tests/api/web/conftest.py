"""One browser for all tests of a worker, and a service whose replies a test can hold up, break or write."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from generation.engine import Engine
from tests.api.scripted_engine import ScriptedEngine
from tests.api.web.browsing import chromium, find_chromium, visiting
from tests.conftest import NO_BROWSER
from tests.service import Service, running_service


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip(NO_BROWSER)
    async with chromium(path) as running:
        yield running


@pytest.fixture
def engine(demo_engine: Engine) -> ScriptedEngine:
    return ScriptedEngine(demo_engine)


@pytest_asyncio.fixture(loop_scope="session")
async def service(engine: ScriptedEngine, tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(engine, tmp_path, system_prompt="You are Parley, a friendly assistant.") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, service: Service) -> AsyncIterator[Page]:
    async with visiting(browser, service.url) as page:
        yield page
