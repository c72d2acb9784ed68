"""`parley up` and `parley doctor` as processes, with a model that is served elsewhere."""

import re
import signal
from pathlib import Path

import aiohttp

from tests.doubles.openai_server import OpenAIServer
from tests.doubles.vllm_server import KEY, MODEL, REPLY, VllmServer, serving
from tests.parley.process import run, started
from tests.ports import free_port

REMOTE = {"PARLEY_ENGINE": "remote", "PARLEY_ENGINE_API_KEY": KEY}


async def test_up_shows_the_model_and_answers(tmp_path: Path) -> None:
    one, other = VllmServer(), VllmServer()
    async with (
        serving(one.app) as first,
        serving(other.app) as second,
        started(tmp_path, **REMOTE, PARLEY_ENGINE_URL=f"{first},{second}") as parley,
    ):
        printed = await parley.until_printed("Stop with Ctrl-C")
        assert f"{MODEL} (vLLM, 2 servers)" in printed
        assert "demonstration" not in printed
        found = re.search(r"parley_[\w-]{43}", printed)
        assert found
        body = {"messages": [{"role": "user", "content": "Hello!"}]}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{parley.url}/ai/chat", json=body, headers={"Authorization": found[0]}) as response,
        ):
            assert (await response.json())["message"]["content"] == REPLY
        parley.signal(signal.SIGTERM)
        assert await parley.stopped() == 0
        assert KEY not in parley.printed()


async def test_a_wrong_address_is_one_line_and_status_1(tmp_path: Path) -> None:
    status, _, error = await run(tmp_path, "up", **REMOTE, PARLEY_ENGINE_URL=f"http://127.0.0.1:{free_port()}/v1")
    assert status == 1
    assert re.fullmatch(
        r"(?:.*WARNING.*does not answer.*\n)?.*PARLEY_ENGINE_URL: engine server 1 \(http://127\.0\.0\.1:\d+\) "
        r"cannot be reached; start it, or set another\n",
        error,
    ), error
    assert "Traceback" not in error
    assert KEY not in error


async def test_doctor_says_what_the_server_can_do(tmp_path: Path) -> None:
    server = OpenAIServer("a-model", "another")
    async with serving(server.app) as url:
        settings = {**REMOTE, "PARLEY_ENGINE_URL": url, "PARLEY_MODEL": "a-model"}
        status, out, _ = await run(tmp_path, "doctor", **settings)
        assert status == 0, out
        assert f"a-model (OpenAI-compatible, {url.removesuffix('/v1')}) answers: 'Hello there, how are you?'" in out
        assert "another answers: 'Hello there, how are you?'" in out
        assert "top_k is not supported by OpenAI-compatible." in out
        assert KEY not in out
