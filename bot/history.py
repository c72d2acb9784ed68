"""A conversation as a Markdown file that people can read and keep.

Owns: its form, its name, and which part stays out when it would be too large. Does not own: its words
(`texts/privacy.py`), or who may see it (`cogs/privacy.py`).
"""

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC

from bot.texts import privacy as words
from storage.conversations import StoredMessage

MAX_FILE_NAME_CHARACTERS = 64

_MARKUP = re.compile(r"[\\`*_{}\[\]<>#|~&]")


def history_file(messages: Sequence[StoredMessage], *, title: str, model_name: str, max_bytes: int) -> bytes:
    """Return a conversation as UTF-8, oldest message first, of at most `max_bytes`.

    Each message has a heading with role, speaker and time, and stands below it as a quotation, so that whatever is in
    it ends with it: an open code block as well as a heading. What does not fit is left out at the beginning, and a
    line says so.
    """
    head = f"# {_plain(title)}\n"
    blocks = [_block(message, model_name=model_name).encode() for message in messages]
    longest_notice = _notice(len(blocks)).encode()
    room_bytes = max_bytes - len(head.encode())
    if sum(map(len, blocks)) <= room_bytes:
        return head.encode() + b"".join(blocks)
    kept: list[bytes] = []
    room_bytes -= len(longest_notice)
    for block in reversed(blocks):
        room_bytes -= len(block)
        if room_bytes < 0:
            break
        kept.append(block)
    return head.encode() + _notice(len(blocks) - len(kept)).encode() + b"".join(reversed(kept))


def file_name(place: str) -> str:
    """Return the name of a channel's file: letters and digits of any script and hyphens, nothing a path could mean."""
    composed = unicodedata.normalize("NFC", place)
    slug = re.sub(r"[\W_]+", "-", composed)[:MAX_FILE_NAME_CHARACTERS].strip("-").lower()
    return f"conversation-{slug}.md" if slug else "conversation.md"


def _notice(left_out: int) -> str:
    return f"\n*{words.history_cut(messages=left_out)}*\n"


def _block(message: StoredMessage, *, model_name: str) -> str:
    time = message.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if message.role == "user":
        # Names hold no colon (`speakers.clean_name`), so the first one ends the name.
        name, _, text = message.content.partition(": ")
        heading = words.history_person(name=_plain(name), time=time)
    else:
        text = message.content
        heading = words.history_model(name=_plain(model_name), time=time)
    quotation = "\n".join(f"> {line}".rstrip() for line in text.splitlines())
    return f"\n## {heading}\n\n{quotation}\n"


def _plain(text: str) -> str:
    """Return one line in which no character is Markdown."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))
