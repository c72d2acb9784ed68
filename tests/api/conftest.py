"""The service for the tests of this folder; all of them run on the session's event loop, where the engine lives."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from generation.engine import Engine
from tests.api.failing import Stage, open_stage
from tests.service import Service, running_service


@pytest_asyncio.fixture(loop_scope="session")
async def service(demo_engine: Engine, tmp_path: Path) -> AsyncIterator[Service]:
    """A service of its own for the test: empty database, one API token."""
    async with running_service(demo_engine, tmp_path) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session", scope="package")
async def stage(demo_engine: Engine) -> AsyncIterator[Stage]:
    """One service for all cases of all tables of errors: each has an API token of its own."""
    async with open_stage(demo_engine) as stage:
        yield stage
