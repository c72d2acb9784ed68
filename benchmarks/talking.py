"""Conversations for benchmarks, held with a running service, and what each turn cost."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from tests.service import Service

QUESTION_WORDS = 18
"""With a short reply and the template's marks, a turn is about 40 tokens of the demo model's vocabulary."""

PERSONA = "You are Parley, a friendly assistant. Answer briefly."

_TEXT = """
the weather is good today and we like our garden with a red house near river where people talk about music books they
read while it rains in spring or autumn under old trees
"""
_WORDS = _TEXT.split()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one turn cost. `first_ms` is the time to the first token."""

    first_ms: float
    prompt_tokens: int
    cached_tokens: int
    text: str


@dataclass(slots=True)
class Conversation:
    """A growing conversation; its questions depend on its number alone."""

    number: int
    persona: str = PERSONA
    messages: list[dict[str, str]] = field(default_factory=list)
    _words: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._words = random.Random(self.number)

    def next_question(self) -> dict[str, str]:
        """Make the next question."""
        return {"role": "user", "content": " ".join(self._words.choices(_WORDS, k=QUESTION_WORDS))}

    def asking(self, question: Mapping[str, str], *, first: int = 0) -> list[Mapping[str, str]]:
        """Put together what is sent, without the `first` oldest messages."""
        return [{"role": "system", "content": self.persona}, *self.messages[first:], question]

    def keep(self, question: dict[str, str], reply: str) -> None:
        """Add a turn."""
        self.messages += [question, {"role": "assistant", "content": reply}]


async def ask(
    service: Service,
    messages: Sequence[Mapping[str, str]],
    *,
    options: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Stream one greedy reply."""
    body = {"messages": messages, "temperature": 0, "stream": True, **options}
    started, first, text = perf_counter(), 0.0, ""
    url = f"{service.url}/ai/chat"
    async with service.session.post(url, json=body, headers=headers or service.headers) as response:
        async for line in response.content:
            first = first or perf_counter()
            event = json.loads(line)
            text += event["message"]["content"]
    usage = event["usage"]
    return Reply(
        first_ms=(first - started) * 1000,
        prompt_tokens=usage["prompt_tokens"],
        cached_tokens=usage["cached_tokens"],
        text=text,
    )
