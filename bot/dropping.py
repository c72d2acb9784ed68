"""The small line that says how much of a conversation the model no longer reads, said when that changes."""

from collections import OrderedDict

from bot.texts.replies import messages_dropped

_REMEMBERED_CONVERSATIONS = 10_000


class DroppedNotes:
    """What was said last about each conversation; after a restart it is said once more."""

    def __init__(self) -> None:
        self._said: OrderedDict[str, int] = OrderedDict()

    def note(self, conversation_key: str, *, dropped: int) -> str:
        """Return the line for a reply that was made without the first `dropped` messages; empty when nothing is new."""
        before = self._said.pop(conversation_key, 0)
        if dropped:
            self._said[conversation_key] = dropped
            if len(self._said) > _REMEMBERED_CONVERSATIONS:
                self._said.popitem(last=False)
        return messages_dropped(messages=dropped) if dropped and dropped != before else ""

    def reset(self, conversation_key: str) -> None:
        """Start anew with a conversation that was forgotten."""
        self._said.pop(conversation_key, None)
