"""Callers with something that lasts: conversations that the service keeps, webhooks, API tokens that change.

Owns: their accounts beside the book. Does not own: the comparison with the database (`audit.py`).
"""

import asyncio
import json
import random
from time import monotonic

from storage.errors import DatabaseBusyError
from storage.tokens import IssuedToken
from tests.soak import exchanges
from tests.soak.book import KEPT_PROMPT_TOKENS
from tests.soak.exchanges import send
from tests.soak.polite import LONGEST_REPLY, NATIVE, bearer, check_disturbed, messages, refused, settle
from tests.soak.questions import question
from tests.soak.world import Talk, World

PATH = "/api/v6/llm/chat"

WEBHOOK_PAUSE_SECONDS = 2.2
"""A token may ask for 30 a minute."""

MOST_TALKS = 8


async def chat(world: World, chance: random.Random) -> None:
    """Begin a conversation or add a turn to one that nobody else is adding to."""
    book, token = world.book, world.tokens.chatting
    talk = None
    if world.idle_talks and (len(world.talks) >= MOST_TALKS or chance.random() < 0.7):
        talk = world.idle_talks.pop(chance.randrange(len(world.idle_talks)))
    asked = f"{question(chance)} ({chance.randrange(10**9)})"
    body = {"key": token.secret, "prompt": asked, "max_new_tokens": LONGEST_REPLY, "no_repeat_ngram_size": 0}
    if talk is not None:
        body["chat_id"] = talk.chat_id
    began_at = book.begin(token.token.id)
    answer = await send(world.session, "POST", world.house.url + PATH, body=body, headers=_JSON)
    reply = _whole(answer.data) if answer.status == 200 else None
    if reply is not None:
        book.counts["turns"] += 1
        book.told_without_tokens(token.token.id, most_completion_tokens=LONGEST_REPLY)
        if talk is None:
            talk = Talk(chat_id=reply["chat_id"])
            world.talks.append(talk)
        talk.turns.append((asked, reply["message"]))
    elif not answer.is_sent:
        book.told(token.token.id, calls=0)
    elif answer.status in {None, 200}:
        book.left(
            token.token.id,
            began_at,
            most_completion_tokens=LONGEST_REPLY,
            most_prompt_tokens=KEPT_PROMPT_TOKENS,
        )
        check_disturbed(world, began_at, "a turn was cut off")
        if talk is not None:
            talk.unknown_questions.add(asked)
    else:
        refused(world, token, answer, began_at, status=503, calls=0)
        if talk is not None:
            talk.unknown_questions.add(asked)
    if talk is not None:
        world.idle_talks.append(talk)


_JSON = {"Content-Type": "application/json"}


def _whole(data: bytes) -> dict[str, str] | None:
    try:
        reply = json.loads(data)
    except ValueError:
        return None
    assert isinstance(reply, dict)
    return reply


async def ask_for_a_webhook(world: World, chance: random.Random) -> None:
    """Have a reply sent; the receiver is looked at in the end."""
    if monotonic() < world.next_webhook_at:
        await asyncio.sleep(0.05)
        return
    world.next_webhook_at = monotonic() + WEBHOOK_PAUSE_SECONDS
    token = world.tokens.hooked
    track_id = str(chance.randrange(10**9))
    body = {
        "key": token.secret,
        "prompt": question(chance),
        "max_new_tokens": LONGEST_REPLY,
        "no_repeat_ngram_size": 0,
        "webhook": f"{world.receiver.url}/{track_id}",
        "track_id": track_id,
    }
    began_at = world.book.begin(token.token.id)
    answer = await send(world.session, "POST", world.house.url + PATH, body=body, headers=_JSON)
    reply = _whole(answer.data) if answer.status == 200 else None
    if reply is not None:
        # What it costs is told to the receiver.
        world.accepted_webhooks[reply["id"]] = track_id
        world.book.counts["webhooks accepted"] += 1
    elif not answer.is_sent:
        world.book.told(token.token.id, calls=0)
    elif answer.status in {None, 200}:
        world.unknown_webhooks += 1
        world.book.left(token.token.id, began_at, most_completion_tokens=LONGEST_REPLY)
    else:
        refused(world, token, answer, began_at, status=503, calls=0)


async def change_tokens(world: World, chance: random.Random) -> None:
    """Make an API token beside the running service, use it, rotate it, revoke it: each has its effect at once."""
    try:
        first = await world.store.create("passing", daily_calls=10)
        await _use(world, chance, first, status=200)
        second = await world.store.rotate(first.token.id)
        await _use(world, chance, first, status=401)
        await _use(world, chance, second, status=200)
        await world.store.revoke(first.token.id)
        await _use(world, chance, second, status=401)
    except DatabaseBusyError:
        world.book.counts["token commands refused"] += 1
        return
    world.book.counts["token cycles"] += 1


async def _use(world: World, chance: random.Random, token: IssuedToken, *, status: int) -> None:
    began_at = world.book.begin(token.token.id)
    body = {"messages": messages(chance), "num_predict": 2}
    answer = await send(world.session, "POST", world.house.url + NATIVE, body=body, headers=bearer(token))
    if status == 200 or not answer.is_sent:
        settle(world, token, answer, began_at, exchanges.read_native)
    else:
        refused(world, token, answer, began_at, status=status, calls=0)
