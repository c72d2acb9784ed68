"""Servers and engines that the tests of this folder share. All run in the session's event loop."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.generation.remote.llama_servers import LlamaServer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def llama_servers() -> AsyncIterator[list[LlamaServer]]:
    """Two alike, with the demo model; tests leave them as they find them."""
    servers = [LlamaServer(), LlamaServer()]
    await asyncio.gather(*(server.start() for server in servers))
    yield servers
    for server in servers:
        await server.kill()
