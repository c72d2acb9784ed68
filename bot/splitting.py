"""A reply cut into Discord messages, below 2,000 characters each, so that it reads as if it were one.

Owns: where a cut may fall (paragraphs, then lines, sentences, words; never inside an emoji, mention, link or URL) and
code blocks that go on in the next message. Does not own: sending, or what happens to an empty reply.

What is posted, joined and without the fences added here, is the text of the model, character for character. Discord
itself trims blanks at the ends of a message.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bot.graphemes import is_boundary

MAX_CHARACTERS = 2000
"""Discord's limit of a message's content: https://discord.com/developers/docs/resources/message#create-message

The page says characters and not which kind; practice is Unicode code points, which is what `len` counts.
"""

MIN_LIMIT = 100
FENCE = "```"
_CLOSING = f"\n{FENCE}"

_HEAD = r"(?P<head>```(?:(?P<language>[A-Za-z0-9_+\-.#]{1,20})?\n)?)"
_FENCED = re.compile(_HEAD + r".*?```", re.DOTALL)
_UNCLOSED = re.compile(r"^[ \t]*" + _HEAD + r"(?!.*```)", re.DOTALL | re.MULTILINE)
_SOLID = re.compile(
    r"<a?:\w{2,32}:\d+>|<@[!&]?\d+>|<#\d+>|<t:-?\d+(?::[A-Za-z])?>|</[^>\n]{1,100}:\d+>|<id:\w+>"
    r"|\[[^\]\n]{1,200}\]\([^)\s]+\)|<?https?://[^\s<>]+>?"
)
"""What means something only when whole: custom emoji, mentions, timestamps, commands, links and URLs."""

_BREAKS = (
    re.compile(r"\n[ \t]*\n\s*"),
    re.compile(r"\n"),
    re.compile(r"[.!?…][\"')\]»”]*\s+|[。！？]+"),
    re.compile(r"\s+"),
)
"""Places to cut after, best first: paragraphs, lines, sentences, words."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One message: `opening` and `closing` are fences added here, `body` is the model's."""

    opening: str
    body: str
    closing: str

    def __str__(self) -> str:
        return self.opening + self.body + self.closing


@dataclass(frozen=True, slots=True)
class _Fence:
    """A code block: its code lies in [body_start, body_end) of the text, `start` is its first backtick."""

    start: int
    body_start: int
    body_end: int
    opening: str

    def holds(self, position: int) -> bool:
        """Say whether a cut here needs the fence closed and opened again."""
        return self.body_start <= position <= self.body_end


def split(text: str, *, limit: int = MAX_CHARACTERS) -> list[str]:
    """Return the messages to post for a reply: none is blank or longer than `limit` characters.

    A blank text gives no messages.
    """
    return [str(piece) for piece in pieces(text, limit=limit) if piece.body.strip()]


def pieces(text: str, *, limit: int = MAX_CHARACTERS) -> list[Piece]:
    """Return the cut text with the fences that were added; the bodies, joined, are the text."""
    if limit < MIN_LIMIT:
        raise ValueError(f"limit: {limit} leaves no room for fences; use {MIN_LIMIT} or more")
    return list(_Splitter(text, limit).pieces())


class _Splitter:
    """The plan of one text: its code blocks and the spans that stay whole."""

    def __init__(self, text: str, limit: int) -> None:
        self._text = text
        self._limit = limit
        self._fences = list(_find_fences(text))
        self._solids = [match.span() for match in _SOLID.finditer(text)]
        for fence in self._fences:
            self._solids += [(fence.start, fence.body_start), (fence.body_end, fence.body_end + len(FENCE))]

    def pieces(self) -> Iterator[Piece]:
        start = 0
        while start < len(self._text):
            begun = self._fence_at(start)
            opening = begun.opening if begun and start > begun.body_start else ""
            end = self._next_cut(start, self._limit - len(opening))
            body = self._text[start:end]
            yield Piece(opening, body, self._closing(end, body))
            start = end

    def _fence_at(self, position: int) -> _Fence | None:
        return next((fence for fence in self._fences if fence.holds(position)), None)

    def _closing(self, end: int, body: str) -> str:
        if self._fence_at(end) is None:
            return ""
        return FENCE if body.endswith("\n") else _CLOSING

    def _next_cut(self, start: int, room: int) -> int:
        """Choose where the message that begins at `start` ends; it may hold `room` characters, closing included."""
        if len(self._text) - start + self._reserve(len(self._text)) <= room:
            return len(self._text)
        for earliest, candidates in self._candidates(start, room):
            for end in candidates:
                if end >= earliest and end - start + self._reserve(end) <= room and self._may_cut(end):
                    return end
        # Something solid is longer than a message: cut it, between two characters if there are two.
        last = start + room - len(_CLOSING)
        return next((end for end in range(last, start, -1) if is_boundary(self._text, end)), last)

    def _reserve(self, end: int) -> int:
        return len(_CLOSING) if self._fence_at(end) is not None else 0

    def _candidates(self, start: int, room: int) -> Iterator[tuple[int, list[int]]]:
        """Yield kinds of cuts, best first, each with the earliest that is worth taking, and its places from the end.

        A paragraph's end is not worth a nearly empty message, so the better kinds must fill a part of it.
        """
        window_end = min(start + room, len(self._text))
        for rank, pattern in enumerate(_BREAKS):
            ends = [match.end() for match in pattern.finditer(self._text, start, window_end)]
            if rank == 0:
                ends = sorted(self._outside_code(ends) | self._around_code(start, window_end))
            earliest = start + (1 if rank == len(_BREAKS) - 1 else room // 3)
            yield earliest, ends[::-1]
        yield start + 1, list(range(window_end, start, -1))

    def _outside_code(self, ends: list[int]) -> set[int]:
        return {end for end in ends if self._fence_at(end) is None}

    def _around_code(self, start: int, window_end: int) -> set[int]:
        """Return the places right before and after the code blocks that begin or end in a window."""
        edges = set()
        for fence in self._fences:
            after = fence.body_end + len(FENCE)
            edges |= {fence.start, after + self._text.startswith("\n", after)}
        return {edge for edge in edges if start < edge <= window_end}

    def _may_cut(self, position: int) -> bool:
        if any(begin < position < end for begin, end in self._solids):
            return False
        fence = self._fence_at(position)
        if fence is not None and position in (fence.body_start, fence.body_end):
            return False
        return is_boundary(self._text, position)


def _find_fences(text: str) -> Iterator[_Fence]:
    """Find code blocks as Discord does, anywhere in a line; the last may be unclosed if it starts a line."""
    end = 0
    for match in _FENCED.finditer(text):
        end = match.end()
        yield _fence(match, body_end=max(match.end("head"), end - len(FENCE)))
    unclosed = _UNCLOSED.search(text, end)
    if unclosed is not None:
        yield _fence(unclosed, body_end=len(text))


def _fence(match: re.Match[str], *, body_end: int) -> _Fence:
    return _Fence(match.start("head"), match.end("head"), body_end, f"{FENCE}{match['language'] or ''}\n")
