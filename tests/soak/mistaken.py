"""Callers that make mistakes: each gets the refusal that says so, and it costs what the contract says."""

import random
from typing import Any

from tests.soak.exchanges import send
from tests.soak.polite import ANTHROPIC, NATIVE, OLLAMA, OPENAI, bearer, refused
from tests.soak.world import World

MISTAKES: tuple[tuple[str, Any, int, int], ...] = (
    # path, body, status, calls that it costs
    (NATIVE, b"{", 400, 1),
    (NATIVE, b"\xff\xfe", 400, 1),
    (NATIVE, {"messages": []}, 400, 1),
    (NATIVE, {"messages": [{"role": "user", "content": "x"}], "temperature": 99}, 400, 1),
    (NATIVE, {"messages": [{"role": "user", "content": "x"}], "model": "none"}, 404, 1),
    (NATIVE, {"messages": [{"role": "user", "content": "word " * 6000}]}, 400, 1),
    (NATIVE, b"[" * 2**21, 413, 1),
    (OPENAI, {"model": "none", "messages": "Hello"}, 404, 1),
    (OPENAI, {"model": "parley-demo"}, 400, 1),
    (OLLAMA, {"model": "parley-demo", "messages": 5}, 400, 1),
    (ANTHROPIC, {"model": "parley-demo", "messages": []}, 400, 1),
    ("/ai/nothing", {}, 404, 0),
    ("/v1/models", {}, 405, 0),
    ("/ai/tokenize", {"txet": "x"}, 400, 0),
    ("/api/v6/llm/chat", b"{", 400, 0),
)


async def make_a_mistake(world: World, chance: random.Random) -> None:
    """Send what cannot be answered."""
    path, body, status, calls = chance.choice(MISTAKES)
    token = world.tokens.mistaken
    began_at = world.book.begin(token.token.id)
    answer = await send(world.session, "POST", world.house.url + path, body=body, headers=bearer(token))
    if not answer.is_sent:
        world.book.told(token.token.id, calls=0)
        return
    refused(world, token, answer, began_at, status=status, calls=calls)


async def come_as_nobody(world: World, chance: random.Random) -> None:
    """Ask without a token, or with one that never was: it costs nobody anything."""
    token = world.tokens.mistaken
    headers = chance.choice(({}, {"Authorization": "Bearer parley_" + "x" * 43}, {"Authorization": "\u00e9"}))
    began_at = world.book.begin(token.token.id)
    path = chance.choice((NATIVE, OPENAI, OLLAMA, ANTHROPIC))
    answer = await send(world.session, "POST", world.house.url + path, body={}, headers=headers)
    if not answer.is_sent:
        world.book.told(token.token.id, calls=0)
        return
    refused(world, token, answer, began_at, status=401, calls=0)
