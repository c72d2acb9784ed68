"""Webhooks through `kill -9`: what was accepted reaches its receiver, whatever state it was killed in."""

import asyncio
import hashlib
import hmac
import signal
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.doubles.webhook_receiver import Received, receiving
from tests.parley.process import Parley, run, started

PERSONA = "You are Mira, a grumpy lighthouse keeper."
SETTINGS = {"PARLEY_PRIVATE_WEBHOOKS": "true", "PARLEY_UNCENSORED_SYSTEM_PROMPT": PERSONA}


async def ask(parley: Parley, token: str, webhook: str, **fields: Any) -> dict[str, Any]:
    body = {"key": token, "prompt": "Tell me a story.", "webhook": webhook, **fields}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{parley.url}/api/v6/llm/chat", json=body) as response,
    ):
        assert response.status == 200
        reply = await response.json()
        assert isinstance(reply, dict)
        return reply


async def used_calls(parley: Parley, token: str) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{parley.url}/ai/usage", headers={"Authorization": token}) as response,
    ):
        return int((await response.json())["calls"]["used"])


def is_signed(received: Received, token: str) -> bool:
    key = hashlib.sha256(b"parley-webhook:" + token.encode()).digest()
    signed = received.headers["X-Parley-Timestamp"].encode() + b"." + received.body
    expected = "v1=" + hmac.new(key, signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, received.headers["X-Parley-Signature"])


async def kill(parley: Parley) -> None:
    parley.signal(signal.SIGKILL)
    assert await parley.stopped() == -9


async def test_killed_between_two_attempts_during_one_and_while_the_reply_was_made(tmp_path: Path) -> None:
    is_well = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/hangs" and not is_well.is_set():
            await is_well.wait()
        return web.Response(status=200 if is_well.is_set() else 503)

    async with receiving() as receiver:
        receiver.answer = answer
        async with started(tmp_path, **SETTINGS) as parley:
            await parley.until_ready()
            _, printed, _ = await run(tmp_path, "token", "create", "--name", "hooks")
            token = printed.strip()
            refused = await ask(parley, token, receiver.url + "/refuses", max_new_tokens=8)
            held = await ask(parley, token, receiver.url + "/hangs", max_new_tokens=8)
            await receiver.until(2)
            # It stands still, so that the reply is not made before the kill.
            parley.children()[0].suspend()
            made = await ask(parley, token, receiver.url + "/late", max_new_tokens=1024, temperature=2)
            await kill(parley)
            before = {each.path: each for each in receiver.received}
            assert set(before) == {"/refuses", "/hangs"}
        is_well.set()
        async with started(tmp_path, **SETTINGS) as parley:
            await parley.until_ready()
            received = await receiver.until(5)
            after = {each.path: each for each in received[2:]}
            assert all(is_signed(each, token) for each in received)
            for path, accepted in (("/refuses", refused), ("/hangs", held)):
                assert after[path].body == before[path].body
                assert after[path].json["status"] == "success"
                assert after[path].headers["X-Parley-Webhook-Id"] == accepted["id"]
            late = after["/late"].json
            assert (late["status"], late["id"]) == ("error", made["id"])
            assert await used_calls(parley, token) == 2
            named = {"prompt": "What is your name?", "uncensored_system_prompt": True}
            assert "Mira" in (await ask(parley, token, "", **named))["message"]
