"""Keeps text from people from becoming control tokens.

llama.cpp's server tokenizes a rendered prompt with special tokens on, so a message that contains `<|im_end|>` and a
forged system turn would be obeyed (https://github.com/ggml-org/llama.cpp/issues/24382). Here every content is marked
before the chat template is rendered, so that the rendered prompt tells which characters came from people. Wherever a
control token's text takes in at least one such character, the prompt is cut inside that text; the fragments are
tokenized apart, so that no fragment spells the token, and the model reads exactly the same characters. This also finds
a control text that only arises where two contents, or a content and the template, meet.

Owns: finding and cutting. Does not own: which texts are control tokens (`vocabulary.py`), rendering and tokenizing
(`encoder.py`).
"""

import bisect
import re
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from generation.engine import Message

_PRIVATE_USE = range(0xE000, 0xF900)
"""Unicode's private-use area: no template gives these characters a meaning, and text rarely holds them."""

_DRAWS = 16
"""Tries to find unused ones: text without private use needs one, text with a few hundred rarely two."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The characters put before and after a content."""

    start: str
    end: str


@dataclass(frozen=True, slots=True)
class MarkedPrompt:
    """A rendered prompt without its marks, and the spans of it, `(start, end)` in order, that came from people."""

    text: str
    spans: tuple[tuple[int, int], ...]


class ControlTexts:
    """The texts of a vocabulary's control tokens, ready to be found."""

    def __init__(self, texts: Iterable[str]) -> None:
        # Keyed by two characters, then by length: a vocabulary can hold thousands that begin alike (`<unused6241>`),
        # and text made of such beginnings must not cost a comparison with each.
        by_start: defaultdict[str, set[str]] = defaultdict(set)
        for text in texts:
            if len(text) >= 2:
                by_start[text[:2]].add(text)
        self._by_start = {
            start: (sorted({len(text) for text in same}, reverse=True), frozenset(same))
            for start, same in by_start.items()
        }
        self._starts = (
            re.compile("(?=" + "|".join(re.escape(start) for start in sorted(by_start)) + ")") if by_start else None
        )

    def find(self, text: str) -> Iterable[tuple[int, int]]:
        """Yield `(start, end)` of the longest control text at every position that begins one, overlaps included."""
        if self._starts is None:
            return
        for match in self._starts.finditer(text):
            start = match.start()
            lengths, texts = self._by_start[text[start : start + 2]]
            for length in lengths:
                end = start + length
                if end <= len(text) and text[start:end] in texts:
                    yield start, end
                    break


def choose_marks(contents: Sequence[str]) -> Marks:
    """Draw two private-use characters that no content holds, anew each time so that nobody can foresee them."""
    draw = secrets.SystemRandom()
    for _ in range(_DRAWS):
        start, end = map(chr, draw.sample(_PRIVATE_USE, 2))
        if not any(start in content or end in content for content in contents):
            break
    # Whoever fills a conversation with all 6,400 of them loses the two drawn last (`mark`), not the protection.
    return Marks(start, end)


def mark(messages: Sequence[Message], marks: Marks) -> list[Message]:
    """Put marks around each content, inside of its outer white space, where templates that strip still find it."""
    return [replace(message, content=_marked_inside(_cleared(message.content, marks), marks)) for message in messages]


def mark_outside(messages: Sequence[Message], marks: Marks) -> list[Message]:
    """Put marks outside of each content's white space, for templates that tear the inner ones apart."""
    return [
        replace(message, content=f"{marks.start}{_cleared(message.content, marks)}{marks.end}") for message in messages
    ]


def _cleared(content: str, marks: Marks) -> str:
    return content.replace(marks.start, "").replace(marks.end, "")


def _marked_inside(content: str, marks: Marks) -> str:
    middle = content.strip()
    if not middle:
        return content
    before, _, after = content.partition(middle)
    return f"{before}{marks.start}{middle}{marks.end}{after}"


def unmark(rendered: str, marks: Marks) -> MarkedPrompt | None:
    """Take the marks out again; None when the template tore a pair apart, so that spans cannot be told."""
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    length, start = 0, -1
    for part in re.split(f"([{marks.start}{marks.end}])", rendered):
        if part == marks.start and start < 0:
            start = length
        elif part == marks.end and start >= 0:
            spans.append((start, length))
            start = -1
        elif part in (marks.start, marks.end):
            return None
        else:
            pieces.append(part)
            length += len(part)
    return MarkedPrompt("".join(pieces), tuple(spans)) if start < 0 else None


def all_from_people(text: str) -> MarkedPrompt:
    """Take a text for a prompt that a template had no part in."""
    return MarkedPrompt(text, ((0, len(text)),))


def cut(prompt: MarkedPrompt, control_texts: ControlTexts) -> list[str]:
    """Split a prompt so that no fragment spells a control token with characters from people.

    One fragment, the whole, when nothing was forged; a template's own control tokens are never split.
    """
    starts = [start for start, _ in prompt.spans]
    ends = [end for _, end in prompt.spans]
    cuts: set[int] = set()
    for start, end in control_texts.find(prompt.text):
        span = bisect.bisect_right(ends, start)
        if span == len(starts) or starts[span] >= end:
            continue
        # After the first character from people, or where the template's characters end: both lie inside the text.
        cuts.add(start + 1 if starts[span] <= start else starts[span])
    borders = [0, *sorted(cuts), len(prompt.text)]
    return [prompt.text[a:b] for a, b in pairwise(borders)]
