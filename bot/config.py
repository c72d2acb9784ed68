"""What the bot must be told, as plain values; `parley/` fills it from the settings."""

from dataclasses import dataclass, field

from storage.conversations import Conversations
from storage.ledger import Ledger
from storage.notes import Notes
from storage.tokens import TokenStore


@dataclass(frozen=True, slots=True, kw_only=True)
class BotConfig:
    """One bot. Secrets stay out of its `repr`.

    `api_url` is where the bot sends requests and `public_url` what people are shown. `discord_api_url` and
    `discord_gateway_url` are None for Discord itself. `daily_calls` is the allowance suggested for a new API token and
    the one of a server; `context_tokens` the part of a conversation the model may read. `mature` says that the model
    is adult.
    """

    token: str = field(repr=False)
    api_url: str
    service_token: str = field(repr=False)
    public_url: str
    system_prompt: str
    daily_calls: int = 1000
    context_tokens: int = 4096
    mature: bool = False
    discord_api_url: str | None = None
    discord_gateway_url: str | None = None
    max_body_bytes: int = 1_048_576
    drain_seconds: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStores:
    """The parts of the database the bot uses."""

    conversations: Conversations
    tokens: TokenStore
    ledger: Ledger
    notes: Notes
