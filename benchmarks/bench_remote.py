"""What several llama-servers behind the remote engine cost and keep: caches, a server that dies, the way there.

Two packaged llama-servers with the demo model and two slots each. `cached` is the share of second turns' prompt tokens
that came from a cache, beside the same with the choice left to chance. `first reply` is the median time from a
conversation to the first piece of its reply, remote beside local. Prints a table and ends in one line of JSON.
"""

import asyncio
import json
import secrets
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

from generation.engine import Engine, Finished, Message, Piece
from generation.errors import EngineUnavailableError
from generation.launch import LlamaCppConfig
from generation.llama_cpp import LlamaCppEngine
from generation.remote.address import read_addresses
from generation.remote.engine import RemoteEngine
from generation.remote.learn import RemoteConfig, learn
from parley.demo_model import DEMO_NAME, demo_path
from tests.generation.asking import ask, options, text_of
from tests.generation.remote.llama_servers import CONTEXT_TOKENS, KEY, LlamaServer

CONVERSATIONS = 24
DEATHS = 5
FIRST_REPLIES = 60

SHORT = options(temperature=0.0, ignore_eos=False, max_tokens=24)


def conversation(number: int) -> list[Message]:
    """Begin a conversation of its own."""
    return [Message("system", f"You are helper {number}. Answer briefly."), Message("user", "Tell me of the sea.")]


async def measure_cached(engine: RemoteEngine, *, by_chance: bool) -> float:
    """Hold conversations of two turns; returns the share of the second turns' prompts that was cached."""
    cached = total = 0
    # Other conversations than before, which the servers may remember.
    offset = secrets.randbelow(10**6)
    firsts = []
    for number in range(CONVERSATIONS):
        messages = conversation(offset + number)
        firsts.append((messages, text_of((await _turn(engine, messages, by_chance=by_chance))[0])))
        # Two at a time are under way, so that a slot alone does not keep everything.
        if number % 2:
            for asked, said in firsts[-2:]:
                longer = [*asked, Message("assistant", said), Message("user", "And then?")]
                _, end = await _turn(engine, longer, by_chance=by_chance)
                cached, total = cached + end.cached_tokens, total + end.prompt_tokens
    return cached / total


async def _turn(
    engine: RemoteEngine, messages: Sequence[Message], *, by_chance: bool
) -> tuple[Sequence[Piece], Finished]:
    sampling = replace(SHORT, conversation=secrets.token_hex() if by_chance else None)
    return await ask(engine, await engine.encode_chat(messages), sampling)


async def measure_first_reply(engine: Engine) -> float:
    """Return the median milliseconds to a first piece."""
    times = []
    for _ in range(FIRST_REPLIES):
        began = time.perf_counter()
        events = engine.generate(await engine.encode_chat(conversation(1)), SHORT)
        await anext(events)
        times.append(time.perf_counter() - began)
        await events.aclose()
    return statistics.median(times) * 1000


async def measure_deaths(engine: RemoteEngine, servers: Sequence[LlamaServer]) -> tuple[list[float], list[float], int]:
    """Kill a server that nothing asks, and start it again: seconds until it is out and until it is back, and errors."""
    out, back, errors = [], [], 0
    for death in range(DEATHS):
        number = death % len(servers)
        began = time.perf_counter()
        await servers[number].kill()
        while engine.status.replicas[number].is_up:  # noqa: ASYNC110 - the engine decides
            await asyncio.sleep(0.01)
        out.append(time.perf_counter() - began)
        for at in range(4):
            try:
                await _turn(engine, conversation(at), by_chance=True)
            except EngineUnavailableError:
                errors += 1
        await servers[number].start()
        began = time.perf_counter()
        while not engine.status.replicas[number].is_up:  # noqa: ASYNC110 - the engine decides
            await asyncio.sleep(0.01)
        back.append(time.perf_counter() - began)
    return out, back, errors


async def main() -> None:
    """Measure and print."""
    servers = [LlamaServer(), LlamaServer()]
    await asyncio.gather(*(server.start() for server in servers))
    config = RemoteConfig(
        addresses=read_addresses(",".join(server.url for server in servers)),
        model=None,
        context_tokens=CONTEXT_TOKENS,
        slots=4,
        api_key=KEY,
    )
    began = time.perf_counter()
    engine = RemoteEngine(config, await learn(config))
    learned_ms = (time.perf_counter() - began) * 1000
    await engine.start()
    local = LlamaCppEngine(
        LlamaCppConfig(model_path=demo_path(), model_name=DEMO_NAME, context_tokens=CONTEXT_TOKENS, slots=2, threads=1)
    )
    await local.start()
    try:
        figures: dict[str, float] = {
            "cached": await measure_cached(engine, by_chance=False),
            "cached_by_chance": await measure_cached(engine, by_chance=True),
            "first_reply_ms": await measure_first_reply(engine),
            "first_reply_local_ms": await measure_first_reply(local),
            "learned_ms": learned_ms,
        }
        out, back, errors = await measure_deaths(engine, servers)
    finally:
        await engine.close()
        await local.close()
        for server in servers:
            await server.kill()
    figures |= {"out_s": max(out), "back_s": max(back), "errors_while_out": errors}
    figures = {name: round(value, 3) for name, value in figures.items()}
    for name, value in figures.items():
        print(f"{name:<22} {value:>10}")
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main())
