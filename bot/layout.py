"""Which Discord messages a reply becomes: what they show, how much of its text each stands for, what goes in a file.

Owns: the bound on messages, the file with what is beyond it, the small line below. Does not own: where the cuts fall
(`splitting.py`), or posting (`live.py`).
"""

from dataclasses import dataclass

from bot.screens import ReplyFile
from bot.splitting import MAX_CHARACTERS, pieces
from bot.texts.replies import rest_of_reply

FILE_NAME = "reply.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One message: what it shows, and how many characters of the reply's text it stands for, its file included."""

    content: str
    characters: int
    file: ReplyFile | None = None


@dataclass(frozen=True, slots=True)
class _Span:
    """A readable piece: it stands for [start, end) of the text, of which blanks from `shown_end` on are not shown."""

    content: str
    start: int
    shown_end: int
    end: int


def lay_out(text: str, *, max_messages: int | None = None, note: str = "") -> list[Block]:
    """Return the messages of a whole reply.

    What is beyond `max_messages` comes as a file on the last of them. A `note` stands below the last message, in a
    message of its own where there is no room for it. The characters of all blocks add up to those of the text, unless
    nothing of it can be read.
    """
    spans = _spans(text)
    if max_messages is not None and len(spans) > max_messages:
        last = spans[max_messages - 1]
        blocks = [_block(span) for span in spans[: max_messages - 1]]
        blocks.append(
            Block(content=last.content, characters=len(text) - last.start, file=_file(text[last.shown_end :]))
        )
    else:
        blocks = [_block(span) for span in spans]
    return _noted(blocks, note) if note else blocks


def beginning(text: str, *, max_messages: int) -> str:
    """Return as much of a text as can matter to what that many messages show."""
    return text[: (max_messages + 1) * MAX_CHARACTERS]


def lay_out_growing(text: str, *, max_messages: int) -> list[str]:
    """Return what the messages of a reply show while it grows; beyond `max_messages` the last one just stays."""
    return [span.content for span in _spans(text)[:max_messages]]


def with_note(content: str, note: str) -> str | None:
    """Return a message's content with a line of the bot's own below it; None where it does not fit."""
    noted = f"{content.rstrip()}\n{note}"
    return noted if len(noted) <= MAX_CHARACTERS else None


def _spans(text: str) -> list[_Span]:
    """Return the pieces that can be read; blank ones count to the piece before them, or else to the first."""
    spans: list[_Span] = []
    start = end = 0
    for piece in pieces(text):
        end += len(piece.body)
        if piece.body.strip():
            spans.append(_Span(str(piece), start, end, end))
            start = end
        elif spans:
            last = spans[-1]
            spans[-1] = _Span(last.content, last.start, last.shown_end, end)
            start = end
    return spans


def _block(span: _Span) -> Block:
    return Block(content=span.content, characters=span.end - span.start)


def _file(rest: str) -> ReplyFile:
    return ReplyFile(name=FILE_NAME, data=rest.encode(), description=rest_of_reply())


def _noted(blocks: list[Block], note: str) -> list[Block]:
    last = blocks[-1] if blocks else None
    content = None if last is None else with_note(last.content, note)
    if last is None or content is None:
        return [*blocks, Block(content=note, characters=0)]
    return [*blocks[:-1], Block(content=content, characters=last.characters, file=last.file)]
