import asyncio
import contextlib
import os
import signal
import stat
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from generation.engine import EngineState, Piece
from generation.errors import EngineUnavailableError, ModelError
from generation.launch import LlamaCppConfig
from generation.llama_cpp import LlamaCppEngine
from generation.private_folder import PrivateFolder
from generation.supervisor import Timing
from tests.generation.asking import ask, options
from tests.generation.conftest import config_for
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUICK = Timing(health_interval=0.1, unresponsive_after=5.0)
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest_asyncio.fixture(loop_scope="session")
async def mortal(tiny_model: Path) -> AsyncIterator[LlamaCppEngine]:
    """An engine of its own for a test that kills it."""
    engine = LlamaCppEngine(config_for(tiny_model), timing=QUICK)
    await engine.start()
    yield engine
    await engine.close()


@pytest.fixture
def server_binary(tmp_path: Path) -> Path:
    """A program that acts as an operator's llama-server."""
    program = tmp_path / "llama-server"
    stand_in = Path(__file__).with_name("llama_server_stand_in.py")
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {stand_in} "$@"\n')
    program.chmod(0o755)
    return program


def pid_of(engine: LlamaCppEngine) -> int:
    assert engine.child_pid is not None
    return engine.child_pid


async def wait_until_gone(*pids: int) -> None:
    await eventually(lambda: not any(map(_is_running, pids)))


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def wait_for_restart(engine: LlamaCppEngine, count: int = 1) -> None:
    await eventually(lambda: engine.status.restarts >= count)
    await engine.wait_until_ready(60)


async def test_a_killed_engine_fails_what_is_running_and_answers_again(
    mortal: LlamaCppEngine,
) -> None:
    running = mortal.generate([1, 300], options(max_tokens=2000))
    assert isinstance(await anext(running), Piece)
    os.kill(pid_of(mortal), signal.SIGKILL)
    with pytest.raises(EngineUnavailableError):
        async for _ in running:
            pass
    await wait_for_restart(mortal)
    _, end = await ask(mortal, [1, 300])
    assert end.completion_tokens == 24
    assert (mortal.status.state, mortal.status.restarts) == (EngineState.READY, 1)


async def test_while_it_restarts_calls_say_unavailable_and_why(mortal: LlamaCppEngine) -> None:
    os.kill(pid_of(mortal), signal.SIGKILL)
    await eventually(lambda: mortal.status.state is not EngineState.READY)
    assert mortal.status.state is EngineState.RESTARTING
    assert "killed" in mortal.status.reason
    with pytest.raises(EngineUnavailableError) as caught:
        await mortal.encode_text("x")
    assert caught.value.reason == mortal.status.reason
    with pytest.raises(EngineUnavailableError):
        await mortal.wait_until_ready(0)
    await mortal.wait_until_ready(60)
    assert await mortal.encode_text("x")


async def test_an_engine_that_keeps_dying_is_restarted_each_time(mortal: LlamaCppEngine) -> None:
    pids = set()
    for count in range(1, 4):
        pids.add(pid_of(mortal))
        os.kill(pid_of(mortal), signal.SIGKILL)
        await wait_for_restart(mortal, count)
    assert len(pids) == 3
    assert pid_of(mortal) not in pids


async def test_an_engine_that_hangs_is_replaced(mortal: LlamaCppEngine) -> None:
    hanging = pid_of(mortal)
    running = mortal.generate([1, 300], options(max_tokens=2000))
    await anext(running)
    os.kill(hanging, signal.SIGSTOP)
    with pytest.raises(EngineUnavailableError):
        async for _ in running:
            pass
    await wait_for_restart(mortal)
    assert pid_of(mortal) != hanging
    await wait_until_gone(hanging)
    await ask(mortal, [1, 300])


async def test_an_engine_that_is_well_is_left_alone_though_we_stood_still(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = LlamaCppEngine(config_for(tiny_model), timing=Timing(health_interval=0.01, unresponsive_after=2.0))
    await engine.start()
    try:
        assert engine._supervisor is not None
        assert engine._supervisor._client is not None
        real, looks = engine._supervisor._client.get, 0

        async def stand_still(path: str) -> Any:
            nonlocal looks
            looks += 1
            looking = asyncio.create_task(real(path))
            if looks == 1:
                await asyncio.sleep(0)
                time.sleep(2.1)  # noqa: ASYNC251 - as a process does that its machine stops for a while
            return await looking

        monkeypatch.setattr(engine._supervisor._client, "get", stand_still)
        await eventually(lambda: looks >= 5)
        assert engine.status.restarts == 0
    finally:
        await engine.close()


async def test_a_busy_engine_is_left_alone(slow_model: Path) -> None:
    engine = LlamaCppEngine(config_for(slow_model, context_tokens=16_384, slots=1), timing=QUICK)
    await engine.start()
    try:
        working = asyncio.create_task(ask(engine, [1] + [300] * 16_000, options(max_tokens=1)))
        await asyncio.wait({working}, timeout=2.5 * QUICK.unresponsive_after)
        assert not working.done()
        assert engine.status.restarts == 0
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    finally:
        await engine.close()


async def test_closing_leaves_no_process_and_no_folder(tiny_model: Path) -> None:
    engine = LlamaCppEngine(config_for(tiny_model))
    await engine.start()
    pid = pid_of(engine)
    assert engine._supervisor is not None
    assert engine._supervisor._folder is not None
    folder = engine._supervisor._folder.path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {entry.name for entry in folder.iterdir()} == {"1.sock", "lock"}
    await engine.close()
    await engine.close()
    await wait_until_gone(pid)
    assert not folder.exists()
    assert engine.status.state is EngineState.STOPPED
    with pytest.raises(EngineUnavailableError):
        await engine.encode_text("x")


async def test_closing_ends_a_hung_engine_too(tiny_model: Path) -> None:
    engine = LlamaCppEngine(config_for(tiny_model), timing=Timing(stop_grace=0.3))
    await engine.start()
    pid = pid_of(engine)
    os.kill(pid, signal.SIGSTOP)
    await engine.close()
    await wait_until_gone(pid)


async def test_closing_during_a_reply_fails_it(mortal: LlamaCppEngine) -> None:
    running = mortal.generate([1, 300], options(max_tokens=2000))
    await anext(running)
    await mortal.close()
    with pytest.raises(EngineUnavailableError):
        async for _ in running:
            pass


async def test_the_key_is_not_in_arguments_or_environment_and_is_needed(mortal: LlamaCppEngine) -> None:
    assert mortal._supervisor is not None
    key = mortal._supervisor.client._session.headers["Authorization"].removeprefix("Bearer ")
    child = psutil.Process(pid_of(mortal))
    assert len(key) >= 32
    assert key not in " ".join(child.cmdline())
    assert key not in " ".join(child.environ().values())
    mortal._supervisor.client._session.headers["Authorization"] = "Bearer wrong"
    with pytest.raises(EngineUnavailableError):
        await mortal.encode_text("x")


async def test_secrets_of_the_parent_are_kept_from_the_child(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    monkeypatch.setenv("PARLEY_SERVICE_TOKEN", "secret")
    monkeypatch.setenv("LLAMA_ARG_CTX_SIZE", "64")
    engine = LlamaCppEngine(config_for(tiny_model))
    await engine.start()
    try:
        names = psutil.Process(pid_of(engine)).environ()
        assert names["GOMP_SPINCOUNT"] == "1000"
        assert not {"DISCORD_TOKEN", "PARLEY_SERVICE_TOKEN", "LLAMA_ARG_CTX_SIZE"} & set(names)
    finally:
        await engine.close()


async def test_control_c_in_the_terminal_does_not_reach_the_child(mortal: LlamaCppEngine) -> None:
    assert os.getsid(pid_of(mortal)) != os.getsid(0)
    os.kill(pid_of(mortal), signal.SIGINT)
    await ask(mortal, [1, 300])
    assert mortal.status.restarts == 0


@pytest.mark.parametrize("uses_binary", [False, True], ids=["packaged", "binary"])
async def test_a_parent_killed_with_nine_takes_the_engine_along(
    tiny_model: Path, server_binary: Path, uses_binary: bool
) -> None:
    arguments = [str(tiny_model)] + ([str(server_binary)] if uses_binary else [])
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.generation.parent_program",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = int(await asyncio.wait_for(parent.stdout.readline(), 30))
    family = [child, *(process.pid for process in psutil.Process(child).children(recursive=True))]
    assert len(family) == (2 if uses_binary else 1)
    parent.kill()
    await parent.wait()
    await wait_until_gone(*family)


async def test_an_operators_own_server_is_run_instead(tiny_model: Path, server_binary: Path) -> None:
    engine = LlamaCppEngine(replace(config_for(tiny_model), server_binary=server_binary), timing=QUICK)
    await engine.start()
    try:
        _, end = await ask(engine, [1, 300])
        assert end.completion_tokens == 24
        (server,) = psutil.Process(pid_of(engine)).children()
        assert str(tiny_model) in server.cmdline()
        os.kill(server.pid, signal.SIGKILL)
        await wait_for_restart(engine)
        await ask(engine, [1, 300])
        (server,) = psutil.Process(pid_of(engine)).children()
    finally:
        await engine.close()
    await wait_until_gone(server.pid)


async def _start_error(config: LlamaCppConfig, timing: Timing | None = None) -> str:
    folders: list[PrivateFolder] = []

    def make_folder() -> PrivateFolder:
        folders.append(PrivateFolder())
        return folders[-1]

    engine = LlamaCppEngine(config, timing=timing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("generation.supervisor.PrivateFolder", make_folder)
        with pytest.raises(ModelError) as caught:
            await engine.start()
    assert engine.child_pid is None
    await engine.close()
    assert not any(folder.path.exists() for folder in folders)
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_an_unknown_architecture_is_said_at_the_start(tiny_model: Path, tmp_path: Path) -> None:
    strange = tmp_path / "strange.gguf"
    strange.write_bytes(tiny_model.read_bytes().replace(b"llama", b"lhama"))
    assert "does not know its architecture, lhama" in await _start_error(config_for(strange))


async def test_a_file_cut_short_is_said_at_the_start(tiny_model: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.gguf"
    short.write_bytes(tiny_model.read_bytes()[:-4])
    assert "damaged" in await _start_error(config_for(short))


async def test_too_little_memory_is_said_before_loading(tiny_model: Path) -> None:
    config = replace(config_for(tiny_model, context_tokens=4096), slots=10**9)
    message = await _start_error(config)
    assert "GiB" in message
    assert "PARLEY_CONTEXT" in message


async def test_a_binary_that_cannot_be_run_is_said_at_the_start(tiny_model: Path, tmp_path: Path) -> None:
    config = replace(config_for(tiny_model), server_binary=tmp_path / "none")
    assert "PARLEY_LLAMA_SERVER cannot be run: No such file" in await _start_error(config)


async def test_a_start_that_hangs_is_given_up(tiny_model: Path, tmp_path: Path) -> None:
    program = tmp_path / "sleeper"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    config = replace(config_for(tiny_model), server_binary=program)
    assert "did not answer within 1 s" in await _start_error(config, Timing(start_deadline=1, stop_grace=1))


async def test_a_cancelled_start_leaves_no_process(tiny_model: Path, tmp_path: Path) -> None:
    program = tmp_path / "sleeper"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    engine = LlamaCppEngine(replace(config_for(tiny_model), server_binary=program), timing=Timing(stop_grace=1))
    starting = asyncio.create_task(engine.start())
    await eventually(lambda: engine.child_pid is not None)
    pid = pid_of(engine)
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting
    await wait_until_gone(pid)
    await engine.close()


async def test_a_restart_that_fails_is_tried_again_until_it_succeeds(tiny_model: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(tiny_model.read_bytes())
    timing = Timing(first_backoff=0.05, longest_backoff=0.1)
    engine = LlamaCppEngine(config_for(model), timing=timing)
    await engine.start()
    try:
        moved = model.rename(tmp_path / "away.gguf")
        os.kill(pid_of(engine), signal.SIGKILL)
        await eventually(lambda: engine.status.restarts >= 3)
        assert engine.status.state is EngineState.RESTARTING
        assert "cannot load it" in engine.status.reason
        moved.rename(model)
        await engine.wait_until_ready(60)
        await ask(engine, [1, 300])
    finally:
        await engine.close()


async def test_closing_during_a_restart_leaves_no_process(tiny_model: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(tiny_model.read_bytes())
    engine = LlamaCppEngine(config_for(model), timing=Timing(first_backoff=60))
    await engine.start()
    model.unlink()
    os.kill(pid_of(engine), signal.SIGKILL)
    await eventually(lambda: engine.status.restarts >= 2)
    waiting = asyncio.create_task(engine.wait_until_ready(30))
    await asyncio.sleep(0)
    await engine.close()
    with pytest.raises(EngineUnavailableError):
        await waiting
    assert engine.child_pid is None
