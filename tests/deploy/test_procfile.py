"""The Procfile, started as a platform starts it: by a runner, with PORT and DATABASE_URL and no other setting."""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
import pytest

from parley.cli import main
from tests.deploy.places import ROOT, program
from tests.parley.process import environment
from tests.ports import free_port

PROCFILE = ROOT / "Procfile"

DATABASES = ["sqlite:///data/parley.db"]


@dataclass(frozen=True, kw_only=True)
class Platform:
    """honcho with what it started."""

    process: asyncio.subprocess.Process
    output: Path

    def printed(self) -> str:
        return self.output.read_text("utf-8")

    async def until_answering(self, path: str, *, port: int, within_seconds: float = 60) -> None:
        async with asyncio.timeout(within_seconds), aiohttp.ClientSession() as session:
            while True:
                assert self.process.returncode is None, self.printed()
                try:
                    async with session.get(f"http://127.0.0.1:{port}{path}") as response:
                        if response.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)


@asynccontextmanager
async def platform(folder: Path, *arguments: str, port: int, **variables: str) -> AsyncIterator[Platform]:
    """Start a Procfile's processes in a folder for the block; whatever is left of them is killed afterwards."""
    output = folder / "output.txt"
    inherited = {name: value for name, value in environment().items() if name not in {"HOST", "PYTHONPATH"}}
    scripts = str(Path(program("parley")).parent)
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(program("honcho"), "--procfile", str(PROCFILE), "--app-root", str(folder), "start", *arguments),
            cwd=folder,
            env={**inherited, "PATH": f"{scripts}:{os.environ['PATH']}", "PORT": str(port), **variables},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        yield Platform(process=process, output=output)
    finally:
        if process.returncode is None:
            children = psutil.Process(process.pid).children(recursive=True)
            for each in children:
                each.kill()
            process.kill()
            await process.wait()
            psutil.wait_procs(children, timeout=20)


def procfile() -> dict[str, str]:
    """The command of each process type."""
    return dict(re.findall(r"^(\w+): (.+)$", PROCFILE.read_text("utf-8"), re.MULTILINE))


def test_it_has_one_process_and_the_pair() -> None:
    commands = {name: line.split()[-2:] for name, line in procfile().items()}
    assert commands == {"web": ["parley", "up"], "api": ["parley", "api"], "bot": ["parley", "bot"]}
    assert {command for _, command in commands.values()} <= main.commands.keys()
    assert all(line.startswith("exec ") for line in procfile().values()), "a signal reaches Parley, not a shell"


def test_a_platform_builds_what_the_tests_have_tried() -> None:
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["--constraint constraints.txt", "."]
    version = (ROOT / ".python-version").read_text("utf-8").strip()
    assert f"FROM python:{version}-slim" in (ROOT / "Dockerfile").read_text("utf-8")


@pytest.mark.parametrize("database", DATABASES)
async def test_web_starts_with_port_and_database_alone_and_stops_in_time(tmp_path: Path, database: str) -> None:
    port = free_port()
    async with platform(tmp_path, "web", port=port, DATABASE_URL=database) as started:
        await started.until_answering("/readyz", port=port)
        children = psutil.Process(started.process.pid).children(recursive=True)
        parley = next(each for each in children if "parley" in " ".join(each.cmdline()) and "up" in each.cmdline())
        listening = {each.laddr.ip for each in parley.net_connections("tcp") if each.status == psutil.CONN_LISTEN}
        assert listening == {"0.0.0.0"}
        started.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(started.process.wait(), 20)
        assert "web.1 stopped (rc=0)" in started.printed()
        assert psutil.wait_procs(children, timeout=20)[1] == []
        assert "Traceback" not in started.printed()


@pytest.mark.parametrize(("given", "used"), [({}, "0.0.0.0"), ({"HOST": "::"}, "::")])
@pytest.mark.parametrize("name", ["web", "api"])
def test_a_given_host_goes_before_every_network(name: str, given: dict[str, str], used: str) -> None:
    line = re.sub(r"parley \w+$", "printenv HOST", procfile()[name])
    variables = {"PATH": os.environ["PATH"], **given}
    assert subprocess.check_output(["sh", "-c", line], env=variables, text=True) == f"{used}\n"


async def test_the_bot_apart_says_what_it_misses(tmp_path: Path) -> None:
    async with platform(tmp_path, "bot", port=free_port()) as started:
        await asyncio.wait_for(started.process.wait(), 30)
        assert "parley: DISCORD_TOKEN: needed for `parley bot`" in started.printed()
