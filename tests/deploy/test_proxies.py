"""The configurations for nginx and Caddy, run by nginx and Caddy: what passes, how, and what does not."""

import asyncio
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest

from api.config import REPLY_DEADLINE_SECONDS
from parley.http_service import KEEP_ALIVE_SECONDS
from parley.settings import Settings
from tests.deploy.places import DEPLOY
from tests.deploy.proxied import Pausing, balancer, caddy, connect, nginx, serving, trusting

Proxy = Callable[..., AbstractAsyncContextManager[str]]

LARGE = b"x" * (int(Settings.model_fields["max_body"].default) + 1)
"""Refused by Parley, so a proxy has to let it pass."""


@pytest.mark.parametrize("proxy", [nginx, caddy, balancer], ids=["nginx", "caddy", "balancer"])
async def test_a_stream_passes_piece_by_piece(tmp_path: Path, proxy: Proxy) -> None:
    pausing = Pausing()
    async with (
        serving(pausing) as upstream,
        proxy(tmp_path, upstream=upstream) as url,
        aiohttp.ClientSession() as session,
        asyncio.timeout(30),
    ):
        await connect(session, url)
        async with session.post(f"{url}/ai/chat", data=BytesIO(LARGE), ssl=trusting()) as response:
            # The service says no more before this has come.
            assert await response.content.readline() == b'{"first": 1}\n'
            pausing.has_arrived.set()
            assert await response.content.read() == b'{"last": 2}\n'
        assert pausing.body_sizes == [len(LARGE)]


@pytest.mark.parametrize("proxy", [nginx, caddy, balancer], ids=["nginx", "caddy", "balancer"])
async def test_measurements_stay_inside(tmp_path: Path, proxy: Proxy) -> None:
    async with (
        serving(Pausing()) as upstream,
        proxy(tmp_path, upstream=upstream) as url,
        aiohttp.ClientSession() as session,
    ):
        await connect(session, url)
        async with session.get(f"{url}/metrics", ssl=trusting()) as response:
            assert response.status == 404
            assert "secret" not in await response.text()


def test_nginx_waits_as_long_as_parley_and_keeps_connections_for_less() -> None:
    text = (DEPLOY / "nginx.conf").read_text("utf-8")
    seconds = {name: int(value) for name, value in re.findall(r"(\w+_timeout) (\d+)s;", text)}
    assert seconds["proxy_read_timeout"] > REPLY_DEADLINE_SECONDS
    assert seconds["keepalive_timeout"] < KEEP_ALIVE_SECONDS
