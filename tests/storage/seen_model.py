"""A plain model of the rule "the conversation is what people can see in the channel", to compare storage with."""

from collections.abc import Collection
from dataclasses import dataclass, field


@dataclass(eq=False)
class Spoken:
    """A person's message. `message_id` is None for a command; `author` who wrote it."""

    author: int
    text: str
    message_id: int | None


@dataclass(eq=False)
class Shown:
    """A reply as Discord shows it: `pieces` of text by message id. `head_id` is the first message it was shown in."""

    asker: int
    question: Spoken | None
    pieces: dict[int, str]
    head_id: int | None

    @property
    def text(self) -> str:
        return "".join(self.pieces.values())


@dataclass
class Channels:
    """What can be seen, by conversation key, oldest first."""

    seen: dict[str, list[Spoken | Shown]] = field(default_factory=dict)

    def turn(self, key: str, question: Spoken, reply: Shown) -> None:
        self.seen.setdefault(key, []).extend([question, reply])

    def edit(self, message_id: int, text: str) -> str | None:
        touched = None
        for key, entries in self.seen.items():
            for entry in entries:
                if isinstance(entry, Spoken) and entry.message_id == message_id:
                    entry.text, touched = text, key
        return touched

    def delete(self, ids: Collection[int]) -> list[str]:
        touched = set()
        for key in list(self.seen):
            for entry in list(self.seen[key]):
                if isinstance(entry, Shown) and entry.pieces.keys() & set(ids):
                    touched.add(key)
                    self._take_out(key, entry, ids)
                elif isinstance(entry, Spoken) and entry.message_id in ids:
                    touched.add(key)
                    self._remove(key, entry)
        return sorted(touched)

    def _take_out(self, key: str, reply: Shown, ids: Collection[int]) -> None:
        if reply.head_id in ids and reply.question is not None and reply.question.message_id is None:
            self._remove(key, reply.question)
        reply.pieces = {at: text for at, text in reply.pieces.items() if at not in ids}
        if not reply.text.strip():
            self._remove(key, reply)

    def _remove(self, key: str, gone: Spoken | Shown) -> None:
        self.seen[key] = [entry for entry in self.seen[key] if entry is not gone]
        for entry in self.seen[key]:
            if isinstance(entry, Shown) and entry.question is gone:
                entry.question = None

    def forget(self, author: int, key: str | None) -> tuple[int, int]:
        """Say how many messages went and out of how many conversations."""
        messages, touched = 0, 0
        for at, entries in self.seen.items():
            if key not in (None, at):
                continue
            is_own = key is None and at.split(":")[0] == "private" and at.split(":")[-1] == str(author)
            kept = [] if is_own else [entry for entry in entries if author != _of(entry)]
            messages += len(entries) - len(kept)
            touched += len(kept) < len(entries)
            self.seen[at] = kept
        return messages, touched


def _of(entry: Spoken | Shown) -> int:
    return entry.author if isinstance(entry, Spoken) else entry.asker
