"""What callers were told, call by call, and so what the ledger may hold.

A caller knows what a call has cost (it was told), or it does not: its connection broke, or it left. Owns: these bounds.
Does not own: reading replies (`exchanges.py`), or the ledger (`audit.py`).
"""

from collections import Counter
from dataclasses import dataclass, field
from time import monotonic

MOST_PROMPT_TOKENS = 400
"""No prompt of the soak's has more, but those of conversations that the service keeps."""

KEPT_PROMPT_TOKENS = 4096
"""Those are bounded by the context."""

AFTERMATH_SECONDS = 12.0
"""How long after a kill something may still be refused or cut off because of it: a restart under load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A token's account: the fewest and the most calls and LLM tokens that the ledger may hold for it."""

    calls: tuple[int, int] = (0, 0)
    prompt_tokens: tuple[int, int] = (0, 0)
    completion_tokens: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A call whose caller was not told its end.

    `calls` is what it has cost if nothing was killed meanwhile; None when even then it may be 0 or 1.
    """

    began_at: float
    ended_at: float
    most_prompt_tokens: int
    most_completion_tokens: int
    calls: int | None


@dataclass(slots=True)
class _Page:
    calls: int = 0
    given_back: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    running: int = 0
    unknown: list[Unknown] = field(default_factory=list)
    unread_calls: int = 0
    unread_completion_tokens: int = 0


class Book:
    """Every caller's account by token.

    `kills` are the moments at which the process was killed, `engine_kills` those of its engine alone, `locked` moments
    of a lock that lasts, `disturbances` all after which somebody may be refused: these, and starts.
    """

    def __init__(self) -> None:
        self._pages: dict[str, _Page] = {}
        self.kills: list[float] = []
        self.engine_kills: list[float] = []
        self.locked: list[float] = []
        self.disturbances: list[float] = []
        self.problems: list[str] = []
        self.counts: Counter[str] = Counter()

    def problem(self, text: str) -> None:
        """Note what must not be."""
        self.problems.append(text)

    def begin(self, token_id: str) -> float:
        """Note that a call is on its way; returns when."""
        self._page(token_id).running += 1
        return monotonic()

    def told(self, token_id: str, *, calls: int, prompt_tokens: int = 0, completion_tokens: int = 0) -> None:
        """Close a call whose caller was told what it cost."""
        page = self._page(token_id)
        page.running -= 1
        page.calls += calls
        page.given_back += not calls
        page.prompt_tokens += prompt_tokens
        page.completion_tokens += completion_tokens

    def told_without_tokens(self, token_id: str, *, most_completion_tokens: int) -> None:
        """Close a call whose caller was told that it has a reply, in a dialect that does not count tokens."""
        page = self._page(token_id)
        page.running -= 1
        page.calls += 1
        page.unread_calls += 1
        page.unread_completion_tokens += most_completion_tokens

    def left(
        self,
        token_id: str,
        began_at: float,
        *,
        most_completion_tokens: int,
        most_prompt_tokens: int = MOST_PROMPT_TOKENS,
        calls: int | None = None,
    ) -> None:
        """Close a call whose caller does not know its end; `calls` as in `Unknown`."""
        page = self._page(token_id)
        page.running -= 1
        page.unknown.append(
            Unknown(
                began_at=began_at,
                ended_at=monotonic(),
                most_prompt_tokens=most_prompt_tokens,
                most_completion_tokens=most_completion_tokens,
                calls=calls,
            )
        )

    def known_calls(self, token_id: str) -> int:
        """Count the calls that the token was certainly charged until now."""
        return self._page(token_id).calls

    def most_calls(self, token_id: str) -> int:
        """Count the calls that it can have been charged at some moment until now."""
        page = self._page(token_id)
        return page.calls + page.running + len(page.unknown) + page.given_back

    def is_disturbed(self, began_at: float, ended_at: float) -> bool:
        """Say whether something was killed or locked because of which a call of this time may have failed."""
        return _any_between(self.disturbances, began_at - AFTERMATH_SECONDS, ended_at + 1)

    def is_torn(self, began_at: float, ended_at: float) -> bool:
        """Say whether something was killed or locked so that a call of this time may have cost something or nothing."""
        return _any_between(self.kills, began_at, ended_at + 1) or any(
            _any_between(moments, began_at - AFTERMATH_SECONDS, ended_at + 1)
            for moments in (self.engine_kills, self.locked)
        )

    def account(self, token_id: str) -> Account:
        """Add a token's account up."""
        page = self._page(token_id)
        calls = [self._calls_of(each) for each in page.unknown]
        most_unknown = sum(most for _, most in calls)
        most_prompt = sum(each.most_prompt_tokens for each in page.unknown) + KEPT_PROMPT_TOKENS * page.unread_calls
        most_completion = sum(each.most_completion_tokens for each in page.unknown) + page.unread_completion_tokens
        return Account(
            calls=(page.calls + sum(fewest for fewest, _ in calls), page.calls + most_unknown),
            prompt_tokens=(
                page.prompt_tokens + page.unread_calls,
                page.prompt_tokens + most_prompt,
            ),
            completion_tokens=(page.completion_tokens, page.completion_tokens + most_completion),
        )

    def unknown_calls(self) -> int:
        """Count the calls whose callers were not told their end."""
        return sum(len(page.unknown) for page in self._pages.values())

    def vague_calls(self) -> int:
        """Count those of which the book cannot say whether they were charged."""
        return sum(most - fewest for page in self._pages.values() for fewest, most in map(self._calls_of, page.unknown))

    def _calls_of(self, unknown: Unknown) -> tuple[int, int]:
        if unknown.calls is None or self.is_torn(unknown.began_at, unknown.ended_at):
            return 0, 1
        return unknown.calls, unknown.calls

    def _page(self, token_id: str) -> _Page:
        return self._pages.setdefault(token_id, _Page())


def _any_between(moments: list[float], first: float, last: float) -> bool:
    return any(first <= moment <= last for moment in moments)
