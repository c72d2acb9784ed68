"""Callers that wait for what they asked for: every dialect, streaming and not, and what costs no call.

Each keeps its account in the book; what a reply says is held against it at once.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from storage.tokens import IssuedToken
from tests.soak import exchanges
from tests.soak.exchanges import Answer, Cost, FailedError, Read, send
from tests.soak.questions import question
from tests.soak.world import World

LONGEST_REPLY = 48

UNAVAILABLE = (503, 529)
"""What a service that cannot answer says; Anthropic has a number of its own for it."""
"""LLM tokens."""

CHOICES = 2

NATIVE, OPENAI, ANTHROPIC = "/ai/chat", "/v1/chat/completions", "/v1/messages"
OLLAMA, OLLAMA_GENERATE = "/api/chat", "/api/generate"


def messages(chance: random.Random) -> list[dict[str, str]]:
    """Make a conversation of one to three turns."""
    said: list[dict[str, str]] = []
    for _ in range(chance.randrange(3)):
        said += [{"role": "user", "content": question(chance)}, {"role": "assistant", "content": "It is 12."}]
    return [*said, {"role": "user", "content": question(chance)}]


def native(chance: random.Random, *, stream: bool) -> dict[str, Any]:
    return {"messages": messages(chance), "num_predict": chance.randint(1, LONGEST_REPLY), "stream": stream}


def native_json(chance: random.Random, *, stream: bool) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
    return {**native(chance, stream=stream), "format": schema}


def openai(chance: random.Random, *, stream: bool) -> dict[str, Any]:
    body = {"model": "parley-demo", "messages": messages(chance), "max_tokens": LONGEST_REPLY // CHOICES, "n": CHOICES}
    return {**body, "stream": True, "stream_options": {"include_usage": True}} if stream else body


def ollama(chance: random.Random, *, stream: bool) -> dict[str, Any]:
    options = {"num_predict": LONGEST_REPLY, "temperature": 1.5}
    return {"model": "parley-demo", "messages": messages(chance), "stream": stream, "options": options}


def ollama_generate(chance: random.Random, *, stream: bool) -> dict[str, Any]:
    options = {"num_predict": LONGEST_REPLY}
    return {"model": "parley-demo", "prompt": question(chance), "stream": stream, "options": options}


def anthropic(chance: random.Random, *, stream: bool) -> dict[str, Any]:
    return {"model": "parley-demo", "messages": messages(chance), "max_tokens": LONGEST_REPLY, "stream": stream}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One form of one dialect: where it is asked, how, and how its replies are read."""

    path: str
    body: Callable[..., dict[str, Any]]
    whole: Read
    streamed: Read


FORMS = (
    Form(path=NATIVE, body=native, whole=exchanges.read_native, streamed=exchanges.read_native_stream),
    Form(path=NATIVE, body=native_json, whole=exchanges.read_native, streamed=exchanges.read_native_stream),
    Form(path=OPENAI, body=openai, whole=exchanges.read_openai, streamed=exchanges.read_openai_stream),
    Form(path=OLLAMA, body=ollama, whole=exchanges.read_ollama, streamed=exchanges.read_ollama_stream),
    Form(
        path=OLLAMA_GENERATE, body=ollama_generate, whole=exchanges.read_ollama, streamed=exchanges.read_ollama_stream
    ),
    Form(path=ANTHROPIC, body=anthropic, whole=exchanges.read_anthropic, streamed=exchanges.read_anthropic_stream),
)


def bearer(token: IssuedToken) -> dict[str, str]:
    """The headers of an ordinary caller."""
    return {"Authorization": f"Bearer {token.secret}", "Content-Type": "application/json"}


async def ask(world: World, chance: random.Random) -> None:
    """Ask in some form of some dialect and wait for the whole reply."""
    form, is_streamed, token = chance.choice(FORMS), chance.random() < 0.5, world.polite(chance)
    known = world.book.known_calls(token.token.id)
    began_at = world.book.begin(token.token.id)
    body = form.body(chance, stream=is_streamed)
    answer = await send(world.session, "POST", world.house.url + form.path, body=body, headers=bearer(token))
    cost = settle(world, token, answer, began_at, form.streamed if is_streamed else form.whole)
    if cost is not None and cost.calls_remaining is not None:
        used = token.token.daily_calls - cost.calls_remaining
        if not known < used <= world.book.most_calls(token.token.id):
            world.book.problem(
                f"told {used} calls used, between {known + 1} and {world.book.most_calls(token.token.id)}"
            )


def settle(world: World, token: IssuedToken, answer: Answer, began_at: float, read: Read) -> Cost | None:
    """Close a call in the book by what came back; returns its cost when that is a whole reply."""
    book, token_id = world.book, token.token.id
    if not answer.is_sent:
        book.told(token_id, calls=0)
        return None
    try:
        cost = read(answer.data) if answer.status == 200 else None
    except FailedError:
        book.counts["failed midway"] += 1
        book.told(token_id, calls=0)
        check_disturbed(world, began_at, "a reply failed midway")
        return None
    if cost is not None:
        book.counts["replies"] += 1
        book.told(token_id, calls=1, prompt_tokens=cost.prompt_tokens, completion_tokens=cost.completion_tokens)
        return cost
    if answer.status in {None, 200}:
        book.counts["cut off"] += 1
        book.left(token_id, began_at, most_completion_tokens=LONGEST_REPLY)
        check_disturbed(world, began_at, "a reply was cut off")
        return None
    refused(world, token, answer, began_at, status=503, calls=0)
    return None


def refused(world: World, token: IssuedToken, answer: Answer, began_at: float, *, status: int, calls: int) -> None:
    """Close a call that was to be refused with a status; a 503 may come instead when something was killed."""
    world.book.counts[f"status {answer.status}"] += 1
    if answer.status in {status, *UNAVAILABLE}:
        world.book.told(token.token.id, calls=0 if answer.status in UNAVAILABLE else calls)
    else:
        world.book.left(token.token.id, began_at, most_completion_tokens=LONGEST_REPLY)
    if answer.status in UNAVAILABLE:
        check_disturbed(world, began_at, f"a {answer.status}: {answer.data[:200]!r}")
        if "Retry-After" not in answer.headers:
            world.book.problem(f"a {answer.status} without Retry-After")
    elif answer.status is None:
        check_disturbed(world, began_at, "a connection broke")
    elif answer.status != status:
        world.book.problem(f"{answer.status} in place of {status}: {answer.data[:200]!r}")


def check_disturbed(world: World, began_at: float, what: str) -> None:
    """Note a problem when something failed though nothing was killed."""
    if not world.book.is_disturbed(began_at, monotonic()):
        world.book.problem(f"{what}, and nothing was killed")


async def ask_beyond_the_day(world: World, chance: random.Random) -> None:
    """Ask with a token whose few calls are soon used: a 429 costs nothing, and nobody gets one call too many."""
    token = world.tokens.scarce
    began_at = world.book.begin(token.token.id)
    body = {"messages": messages(chance), "num_predict": 4}
    answer = await send(world.session, "POST", world.house.url + NATIVE, body=body, headers=bearer(token))
    if answer.status == 429:
        refused(world, token, answer, began_at, status=429, calls=0)
    else:
        settle(world, token, answer, began_at, exchanges.read_native)


async def look_around(world: World, chance: random.Random) -> None:
    """Ask for what costs no call."""
    token = world.polite(chance)
    method, path, body = chance.choice((
        ("GET", "/v1/models", None),
        ("GET", "/api/tags", None),
        ("GET", "/metrics", None),
        ("GET", "/openapi.json", None),
        ("GET", "/healthz", None),
        ("POST", "/ai/tokenize", {"text": question(chance)}),
        ("POST", "/ai/tokenize", {"messages": messages(chance)}),
        ("POST", "/api/show", {"model": "parley-demo"}),
    ))  # fmt: skip
    began_at = monotonic()
    answer = await send(world.session, method, world.house.url + path, body=body, headers=bearer(token))
    world.book.counts["looked around"] += 1
    if answer.status != 200:
        check_disturbed(world, began_at, f"{answer.status} for {path}")


async def read_usage(world: World, chance: random.Random) -> None:
    """Ask what was used: at least what was told before, at most all that was asked."""
    token = world.polite(chance)
    known, began_at = world.book.known_calls(token.token.id), monotonic()
    answer = await send(world.session, "GET", world.house.url + "/ai/usage", headers=bearer(token))
    if answer.status != 200:
        check_disturbed(world, began_at, f"{answer.status} for /ai/usage")
        return
    world.book.counts["usage read"] += 1
    try:
        used = json.loads(answer.data)["calls"]["used"]
    except ValueError:
        check_disturbed(world, began_at, "a report was cut off")
        return
    if not known <= used <= world.book.most_calls(token.token.id):
        world.book.problem(f"{used} calls reported, between {known} and {world.book.most_calls(token.token.id)}")
