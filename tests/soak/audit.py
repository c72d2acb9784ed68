"""The books compared with the database, when everything has ended."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from storage.tokens import IssuedToken
from tests.soak.book import Book
from tests.soak.people import People, Room
from tests.soak.polite import LONGEST_REPLY
from tests.soak.world import Talk, World

LEAST_PROMPT_TOKENS = 5
"""Every prompt of the soak's has more."""

_SAY_LOCKED = ("no writes: database data/parley.db is locked by another process", "DatabaseBusyError at bot/")
"""What the log has to say of a lock that lasts: the service's line, and the bot's when it came to write something."""


def close_webhooks(world: World) -> None:
    """Close the calls of webhooks by what their receiver was told: a reply costs one, a failure of ours none."""
    token_id = world.tokens.hooked.token.id
    bodies = {each.json["id"]: each.json for each in world.receiver.received}
    for webhook_id, track_id in world.accepted_webhooks.items():
        body = bodies.pop(webhook_id, None)
        if body is None:
            world.book.problem(f"webhook {webhook_id} was accepted and never arrived")
        elif body["track_id"] != track_id:
            world.book.problem(f"webhook {webhook_id} brought another's reply")
        if body is not None and body["status"] == "success":
            world.book.told_without_tokens(token_id, most_completion_tokens=LONGEST_REPLY)
        else:
            # Killed between settling and keeping the reply, it was charged all the same.
            world.book.left(token_id, 0.0, most_completion_tokens=LONGEST_REPLY)
    if len(bodies) > world.unknown_webhooks:
        world.book.problem(f"{len(bodies)} webhooks arrived that nobody asked for")


def check(book: Book, path: Path, *, tokens: Iterable[IssuedToken], talks: Iterable[Talk]) -> None:
    """Note every difference between what callers were told and what the database holds."""
    with closing(sqlite3.connect(path)) as database:
        _check_whole(book, database)
        for token in tokens:
            _check_token(book, database, token)
        for talk in talks:
            _check_talk(book, database, talk)
        _check_at_rest(book, database)


def check_patient(book: Book, path: Path, *, tokens: Iterable[IssuedToken]) -> None:
    """Note calls that were charged beyond those that were told, and for which no reply was made.

    Killed between settling and answering, a call is charged with the tokens of its reply. One that was cut off before
    has to be given back.
    """
    with closing(sqlite3.connect(path)) as database:
        for token in tokens:
            calls, prompt_tokens, _ = _sums(database, token.token.id)
            account = book.account(token.token.id)
            more_calls, more_tokens = calls - account.calls[0], prompt_tokens - account.prompt_tokens[0]
            if more_calls * LEAST_PROMPT_TOKENS > more_tokens:
                book.problem(f"{token.token.name}: {more_calls} calls more than were told, {more_tokens} prompt tokens")


def check_discord(book: Book, path: Path, people: People) -> None:
    """Note every difference between what people saw in Discord and what the database holds."""
    with closing(sqlite3.connect(path)) as database:
        _check_account(book, "Discord", people.tenant_id, _sums(database, people.tenant_id))
        for room in people.rooms:
            _check_room(book, database, room)


def _check_room(book: Book, database: sqlite3.Connection, room: Room) -> None:
    """Every turn that was seen is there, in order; beside them only such as nobody saw the end of."""
    query = "SELECT id, role, content, answers_id FROM conversation_messages WHERE conversation_key = ? ORDER BY id"
    rows = database.execute(query, (f"channel:{room.channel.id}",)).fetchall()
    questions = {row[0]: _number(row[2]) for row in rows if row[1] == "user"}
    turns = [(questions.pop(row[3], None), row[2]) for row in rows if row[1] == "assistant"]
    known = [turn for turn in turns if turn[0] not in room.unknown]
    if questions:
        book.problem(f"{room.channel.name}: {len(questions)} questions without a reply")
    if len(known) != len(room.turns):
        book.problem(f"{room.channel.name} holds {len(known)} turns of {len(room.turns)} that were seen")
        return
    for (number, reply), turn in zip(known, room.turns, strict=True):
        if number not in turn.may_be(book):
            book.problem(f"{room.channel.name} holds question {number} in place of {turn.may_be(book)}")
        if turn.shown is not None and not turn.shown.startswith(reply.strip()):
            book.problem(f"{room.channel.name} holds {reply!r} in place of {turn.shown!r}")


def _number(content: str) -> int:
    return int(content.rpartition("(")[2].rstrip(")"))


def _sums(database: sqlite3.Connection, tenant_id: str) -> list[int]:
    sums = "sum(calls), sum(prompt_tokens), sum(completion_tokens)"
    query = f"SELECT {sums} FROM daily_usage WHERE tenant_id = ?"
    return [value or 0 for value in database.execute(query, (tenant_id,)).fetchone()]


def _check_whole(book: Book, database: sqlite3.Connection) -> None:
    for pragma, expected in (("integrity_check", [("ok",)]), ("foreign_key_check", [])):
        if (found := database.execute(f"PRAGMA {pragma}").fetchall()) != expected:
            book.problem(f"{pragma}: {found[:5]}")


def _check_account(book: Book, name: str, tenant_id: str, found: list[int]) -> None:
    account = book.account(tenant_id)
    wanted = (account.calls, account.prompt_tokens, account.completion_tokens)
    for what, value, (fewest, most) in zip(("calls", "prompt tokens", "completion tokens"), found, wanted, strict=True):
        if not fewest <= value <= most:
            book.problem(f"{name}: the ledger has {value} {what}, callers know of {fewest} to {most}")


def _check_token(book: Book, database: sqlite3.Connection, token: IssuedToken) -> None:
    found = _sums(database, token.token.id)
    _check_account(book, token.token.name, token.token.id, found)
    if found[0] > token.token.daily_calls:
        book.problem(f"{token.token.name}: {found[0]} calls of {token.token.daily_calls} a day")
    if token.token.llm_balance is not None:
        query = "SELECT llm_balance FROM api_tokens WHERE id = ?"
        (balance,) = database.execute(query, (token.token.id,)).fetchone()
        if balance != token.token.llm_balance - found[1] - found[2]:
            book.problem(f"{token.token.name}: the balance is {balance}")


def _check_talk(book: Book, database: sqlite3.Connection, talk: Talk) -> None:
    """Every turn that was told is there, in order; beside them only such as nobody was told the end of."""
    query = "SELECT question, reply FROM chat_turns WHERE chat_id = ? ORDER BY id"
    turns = database.execute(query, (talk.chat_id,)).fetchall()
    known = [turn for turn in turns if turn[0] not in talk.unknown_questions]
    if known != talk.turns:
        book.problem(f"a conversation holds {len(known)} turns of {len(talk.turns)} that were told")


def _check_at_rest(book: Book, database: sqlite3.Connection) -> None:
    waiting = "SELECT count(*) FROM webhooks WHERE delivered_at IS NULL AND given_up_at IS NULL"
    checks = {
        "open calls": "SELECT coalesce(sum(open_calls), 0) FROM daily_usage",
        "chats without a turn": "SELECT count(*) FROM chats WHERE id NOT IN (SELECT chat_id FROM chat_turns)",
        "turns without a chat": "SELECT count(*) FROM chat_turns WHERE chat_id NOT IN (SELECT id FROM chats)",
        "webhooks on their way": waiting,
    }
    for name, query in checks.items():
        (count,) = database.execute(query).fetchone()
        if count:
            book.problem(f"{count} {name} are left")


def check_outputs(world: World) -> None:
    """Nothing in any life's log may be a traceback, and none may name a secret."""
    for output in world.house.outputs:
        text = output.read_text("utf-8", "replace")
        for mark in ("Traceback", "never retrieved", "was destroyed", " ERROR "):
            for line in text.splitlines():
                is_of_lock = world.book.counts["long locks"] and any(each in line for each in _SAY_LOCKED)
                if mark in line and not is_of_lock:
                    world.book.problem(f"the log says: {line[:300]}")
                    break
        if any(token.secret in text for token in world.tokens.all):
            world.book.problem("the log names a secret")
    left = [path.name for path in world.house.temporary.iterdir()]
    if left:
        world.book.problem(f"temporary files are left: {left}")
