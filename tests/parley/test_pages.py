"""The link that logs the operator in: printed by a start, and by `parley link`."""

import re
from pathlib import Path

import aiohttp

from tests.parley.process import Parley, run, started


async def take(parley: Parley, code: str) -> tuple[int, dict[str, str]]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{parley.url}/login.json", json={"code": code, "needs_token": True}) as response,
    ):
        return response.status, await response.json()


async def test_the_printed_link_logs_in_once_and_another_can_be_made(tmp_path: Path) -> None:
    async with started(tmp_path) as parley:
        printed = await parley.until_printed("Stop with Ctrl-C")
        found = re.search(rf"^{parley.url}/login#([\w-]{{43}})$", printed, re.MULTILINE)
        assert found, printed
        status, reply = await take(parley, found[1])
        assert status == 200
        assert reply["token"].startswith("parley_")
        assert (await take(parley, found[1]))[0] == 403
        status, out, error = await run(tmp_path, "link", PORT=parley.url.rsplit(":", 1)[1])
        assert (status, error) == (0, "")
        assert (await take(parley, out.strip().partition("#")[2]))[0] == 200
        assert out.startswith(f"{parley.url}/login#")
        assert found[1] not in parley.printed().partition("Stop with Ctrl-C")[2], "no code is logged"
