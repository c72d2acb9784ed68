"""`parley up` as a process: start, first answer, a killed engine, orderly and disorderly ends."""

import asyncio
import json
import re
import shlex
import signal
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.parley.process import Parley, run, started, started_as, until_it_runs
from tests.ports import free_port
from tests.waiting import PATIENCE_SECONDS, eventually

HELLO = {"messages": [{"role": "user", "content": "Hello!"}]}
ENDLESS = {**HELLO, "num_predict": -2, "num_ctx": 4096, "temperature": 2}


async def first_token(parley: Parley) -> str:
    printed = await parley.until_printed("Stop with Ctrl-C")
    found = re.search(r"parley_[\w-]{43}", printed)
    assert found, printed
    return found[0]


async def ask(parley: Parley, token: str, body: dict[str, Any]) -> tuple[int, dict[str, Any], dict[str, str]]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{parley.url}/ai/chat", json=body, headers={"Authorization": token}) as response,
    ):
        return response.status, await response.json(), dict(response.headers)


async def test_a_newcomer_gets_a_panel_and_a_line_that_works_when_pasted(tmp_path: Path) -> None:
    async with started(tmp_path) as parley:
        await first_token(parley)
        printed = parley.printed()
        assert "parley-demo" in printed
        assert f"{parley.url}/docs" in printed
        assert "DISCORD_TOKEN" in printed
        assert "demonstration" in printed
        assert "parley model pull" in printed
        line = next(line for line in printed.splitlines() if line.startswith("curl "))
        process = await asyncio.create_subprocess_exec(*shlex.split(line), stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        assert process.returncode == 0
        assert b'"role":"assistant"' in out
        parley.signal(signal.SIGTERM)
        assert await parley.stopped() == 0
    async with started(tmp_path) as again:
        await again.until_printed("Stop with Ctrl-C")
        assert "parley_" not in again.printed(), "a token is shown once, on the very first start"


async def until_it_computes(engine: psutil.Process) -> None:
    """Wait until the engine has begun a reply; one that has not may not notice that the engine is another."""
    idle = engine.cpu_times().user
    async with asyncio.timeout(PATIENCE_SECONDS):
        while engine.cpu_times().user < idle + 0.2:  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_a_running_reply_finish_and_leaves_no_child(tmp_path: Path, number: signal.Signals) -> None:
    async with started(tmp_path) as parley:
        token = await first_token(parley)
        children = parley.children()
        assert children
        asking = asyncio.create_task(ask(parley, token, {**HELLO, "num_predict": -2, "num_ctx": 512}))
        await until_it_runs(parley, asking)
        parley.signal(number)
        status, reply, _ = await asking
        assert (status, reply["done"]) == (200, True)
        assert await parley.stopped() == 0
        assert psutil.wait_procs(children, timeout=20)[1] == []


async def test_a_killed_engine_fails_what_runs_and_is_back(tmp_path: Path) -> None:
    async with started(tmp_path) as parley:
        token = await first_token(parley)
        engine = parley.children()[0]
        asking = asyncio.create_task(ask(parley, token, ENDLESS))
        await until_it_computes(engine)
        engine.kill()
        status, error, headers = await asking
        assert (status, error["error"]) == (503, "Model unavailable")
        assert int(headers["Retry-After"]) >= 1
        async with asyncio.timeout(PATIENCE_SECONDS):
            status, reply, _ = await ask(parley, token, HELLO)
        assert status == 200
        assert reply["usage"]["calls_remaining"] == 999, "the call that failed because of us was given back"
        assert parley.process.returncode is None


async def test_a_stream_cut_off_by_a_killed_engine_ends_with_an_error_line(tmp_path: Path) -> None:
    async with started(tmp_path) as parley, aiohttp.ClientSession() as session:
        headers = {"Authorization": await first_token(parley)}
        async with session.post(f"{parley.url}/ai/chat", json={**ENDLESS, "stream": True}, headers=headers) as response:
            assert response.status == 200
            await response.content.readline()
            parley.children()[0].kill()
            lines = [json.loads(line) async for line in response.content]
        assert lines[-1]["error"] == "Model unavailable"
        assert lines[-1]["code"] == 503
        async with session.get(f"{parley.url}/ai/usage", headers=headers) as response:
            usage = await response.json()
        assert usage["calls"]["used"] == 0
        assert usage["llm_tokens"]["completion"] == 0


async def test_killing_everything_leaves_no_engine_behind_and_the_next_start_works(tmp_path: Path) -> None:
    async with started(tmp_path) as parley:
        token = await first_token(parley)
        children = parley.children()
        asking = asyncio.create_task(ask(parley, token, ENDLESS))
        await until_it_runs(parley, asking)
        parley.signal(signal.SIGKILL)
        await parley.stopped()
        with pytest.raises(aiohttp.ClientError):
            await asking
        assert psutil.wait_procs(children, timeout=20)[1] == []
    async with started(tmp_path) as again:
        await again.until_ready()
        status, reply, _ = await ask(again, token, HELLO)
        assert status == 200
        assert reply["usage"]["calls_remaining"] == 999, "the call cut off by the crash was given back"


async def test_the_second_engine_answers_and_is_back_after_a_kill(tmp_path: Path) -> None:
    async with started(tmp_path, PARLEY_ENGINE="ctransformers") as parley:
        token = await first_token(parley)
        body = {**HELLO, "tfs_z": 0.9, "mirostat": 2}
        status, reply, _ = await ask(parley, token, body)
        assert status == 200
        assert reply["message"]["content"]
        parley.children()[0].kill()
        async with asyncio.timeout(PATIENCE_SECONDS):
            status, _, _ = await ask(parley, token, body)
        assert status == 200


async def test_a_signal_during_the_start_stops_it(tmp_path: Path) -> None:
    async with started(tmp_path) as parley:
        await eventually(lambda: bool(parley.children()))
        parley.signal(signal.SIGTERM)
        assert await parley.stopped() == 0
        assert "Traceback" not in parley.printed()


@pytest.mark.parametrize(("signals", "drain_seconds"), [(1, 1), (2, 3600)])
async def test_a_stop_under_load_keeps_its_time_and_a_second_signal_does_not_wait(
    tmp_path: Path, signals: int, drain_seconds: int
) -> None:
    program = f"""
from parley import cli, http_service, lifetime
http_service.DRAIN_SECONDS = lifetime.DRAIN_SECONDS = {drain_seconds}
cli.main()
"""
    async with started_as(tmp_path, "-c", program, "up", PARLEY_PARALLEL="1", PARLEY_MAX_QUEUE="100") as parley:
        token = await first_token(parley)
        children = parley.children()
        # Far more work for one slot than a test waits for.
        asking = [asyncio.create_task(ask(parley, token, ENDLESS)) for _ in range(80)]
        await asyncio.sleep(1)
        parley.signal(signal.SIGTERM)
        await parley.until_printed("stopping;")
        if signals == 2:
            parley.signal(signal.SIGTERM)
        assert await parley.stopped() == 0
        assert "Traceback" not in parley.printed()
        assert psutil.wait_procs(children, timeout=20)[1] == []
        await asyncio.gather(*asking, return_exceptions=True)


async def test_a_signal_ends_a_download_that_hangs(tmp_path: Path) -> None:
    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()

    connected = asyncio.Event()
    server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    async with server:
        hub = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with started(tmp_path, PARLEY_MODEL="hf:owner/repo/a.gguf", HF_ENDPOINT=hub) as parley:
            await asyncio.wait_for(connected.wait(), PATIENCE_SECONDS)
            parley.signal(signal.SIGTERM)
            assert await parley.stopped() == 0


async def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with started(tmp_path) as parley:
        await parley.until_ready()
        port = parley.url.rsplit(":", 1)[1]
        status, _, error = await run(tmp_path / "other", "up", PORT=port)
        assert status == 1
        assert re.fullmatch(rf"parley: PORT: 127\.0\.0\.1:{port} is in use[^\n]*\n", error)


async def test_a_second_service_on_the_same_database_is_refused(tmp_path: Path) -> None:
    async with started(tmp_path) as parley:
        await parley.until_ready()
        status, _, error = await run(tmp_path, "up", PORT=str(free_port()))
        assert status == 1
        assert "already serves" in error
        assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"PARLEY_MODLE": "x"}, "PARLEY_MODLE"),
        ({"PARLEY_MODEL": "missing.gguf"}, "PARLEY_MODEL"),
        ({"PARLEY_MODEL": "hf:nonsense"}, "hf:"),
        ({"PARLEY_LLAMA_SERVER": "nowhere/llama-server"}, "PARLEY_LLAMA_SERVER"),
        ({"DATABASE_URL": "sqlite:////proc/parley.db"}, "/proc/parley.db"),
        ({"HOST": "203.0.113.7"}, "HOST"),
        ({"HOST": "a..b"}, "HOST"),
        ({"PARLEY_LLAMA_SERVER": "/bin/true"}, "PARLEY_LLAMA_SERVER"),
    ],
)
async def test_a_start_that_cannot_work_ends_with_one_line(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    status, _, error = await run(tmp_path, "up", **({"PORT": str(free_port())} | settings))
    assert status == 1
    assert said in error
    assert error.startswith("parley: ")
    assert error.count("\n") == 1, error


async def test_a_model_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"not a model" * 1000)
    status, _, error = await run(tmp_path, "up", PORT=str(free_port()), PARLEY_MODEL="model.gguf")
    assert status == 1
    assert "model.gguf" in error
    assert "Traceback" not in error


async def test_a_database_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "my.db").write_bytes(b"not a database " * 1000)
    status, _, error = await run(tmp_path, "up", PORT=str(free_port()), DATABASE_URL="sqlite:///my.db")
    assert status == 1
    assert "my.db" in error
    assert error.count("\n") == 1
    assert (tmp_path / "my.db").read_bytes() == b"not a database " * 1000, "nothing was lost"
