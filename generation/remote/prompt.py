"""A prompt for a server elsewhere, and which of several servers it is for.

Owns: the value, and the key that finds a conversation's server again. Does not own: the choice (`affinity.py`).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from generation.engine import Message

_DIGEST_BYTES = 16

Tools = Sequence[Mapping[str, Any]]
"""Functions that the model may call, in OpenAI's form."""


class RemotePrompt(list[int]):
    """Token ids, as every engine's prompts are, with what else a server needs.

    Where a server takes messages only, `messages` and `tools` are what is sent, and the ids stand for nothing but their
    estimated number. `affinity` is the same for every turn of a conversation, as long as its beginning is kept.
    """

    def __init__(
        self, ids: Iterable[int], *, affinity: bytes, messages: Sequence[Message] = (), tools: Tools = ()
    ) -> None:
        super().__init__(ids)
        self.affinity = affinity
        self.messages = messages
        self.tools = tools


def find_affinity(messages: Sequence[Message]) -> bytes:
    """Give the key of a conversation without a name: its system messages and its first other one.

    Two conversations that begin alike have the same one, which is right: they share what was computed.
    """
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    system = list(takewhile(lambda message: message.role == "system", messages))
    for message in messages[: len(system) + 1]:
        content = message.content.encode()
        digest.update(f"{message.role} {len(content)} ".encode() + content)
    return digest.digest()
