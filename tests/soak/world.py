"""What every caller of the soak shares: the house, the book, one session, tokens, the receiver of webhooks, Discord."""

import random
from dataclasses import dataclass, field

import aiohttp

from storage.tokens import IssuedToken, TokenStore
from tests.doubles.webhook_receiver import Receiver
from tests.soak.book import Book
from tests.soak.house import House
from tests.soak.people import People


@dataclass(kw_only=True)
class Tokens:
    """One API token for each manner of caller, so that the vague accounts of some do not blur those of the others.

    `polite` wait for their replies, `counted` does so with a balance of LLM tokens, `scarce` has few calls a day,
    `mistaken` asks for what there is not, `rude` hangs up and stalls, `chatting` speaks the dialect that counts no
    tokens, `hooked` has replies sent.
    """

    polite: list[IssuedToken]
    counted: IssuedToken
    scarce: IssuedToken
    mistaken: IssuedToken
    rude: IssuedToken
    chatting: IssuedToken
    hooked: IssuedToken

    @property
    def all(self) -> list[IssuedToken]:
        """Every one of them."""
        return [*self.patient, self.mistaken, self.rude, self.chatting, self.hooked]

    @property
    def patient(self) -> list[IssuedToken]:
        """Those whose callers ask rightly and wait: what such a call costs, it costs for a reply."""
        return [*self.polite, self.counted, self.scarce]


@dataclass(kw_only=True)
class Talk:
    """A conversation that the service keeps: the turns its caller was told of, and those it was told nothing of."""

    chat_id: str
    turns: list[tuple[str, str]] = field(default_factory=list)
    unknown_questions: set[str] = field(default_factory=set)


@dataclass(kw_only=True)
class World:
    """All that a caller needs beside its own chance. `is_long` says that waits of a minute are worth it; `ends_at`
    is when the traffic ends, by the monotonic clock.
    """

    house: House
    book: Book
    session: aiohttp.ClientSession
    tokens: Tokens
    store: TokenStore
    receiver: Receiver
    people: People
    is_long: bool
    ends_at: float = 0.0
    idle_talks: list[Talk] = field(default_factory=list)
    talks: list[Talk] = field(default_factory=list)
    accepted_webhooks: dict[str, str] = field(default_factory=dict)
    unknown_webhooks: int = 0
    next_webhook_at: float = 0.0

    def polite(self, chance: random.Random) -> IssuedToken:
        """Pick one of the tokens whose callers wait for their replies."""
        return chance.choice([*self.tokens.polite, self.tokens.counted])
