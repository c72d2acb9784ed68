"""What the bot must be told, as plain values; `parley/` fills it from the settings."""

from dataclasses import dataclass, field

from bot.sharding import IDENTIFY_SECONDS
from storage.channels import ChannelSettings
from storage.claims import Claims
from storage.conversations import Conversations
from storage.ledger import Ledger
from storage.notes import Notes
from storage.open_questions import OpenQuestions
from storage.person_limits import PersonLimits
from storage.personas import Personas
from storage.stop_requests import StopRequests
from storage.tokens import TokenStore


@dataclass(frozen=True, slots=True, kw_only=True)
class BotConfig:
    """One bot. Secrets stay out of its `repr`.

    `api_url` is where the bot sends requests and `public_url` what people are shown. `discord_api_url` and
    `discord_gateway_url` are None for Discord itself. `daily_calls` is the allowance suggested for a new API token and
    the one of a server, `person_daily_calls` that of one person in a server, None for no bound; `tokens_per_server` how
    many active API tokens a server may have. `context_tokens` is the part of a conversation the model may read.
    `reply_messages` is how many messages a reply may take before the rest comes as a file; `max_attachment_bytes` the
    largest text file that joins a question; `message_content` asks for the privileged intent of that name;
    `max_body_bytes` is the largest request the service takes. `mature` says that the model is adult, `mature_dms` that
    it may answer in DMs all the same. `drain_seconds` is how long running replies may take when the bot stops.
    `shard_count` is of all processes together, None for what Discord recommends; `shard_ids` are those of this process,
    None for all; `identify_seconds` lie between two of them that identify. `leases_shards` says that
    other processes may be for the same shards, and have to wait for each other.
    """

    token: str = field(repr=False)
    api_url: str
    service_token: str = field(repr=False)
    public_url: str
    system_prompt: str
    daily_calls: int = 1000
    person_daily_calls: int | None = None
    tokens_per_server: int = 25
    context_tokens: int = 4096
    reply_messages: int = 4
    max_attachment_bytes: int = 65_536
    message_content: bool = False
    mature: bool = False
    mature_dms: bool = False
    discord_api_url: str | None = None
    discord_gateway_url: str | None = None
    max_body_bytes: int = 1_048_576
    drain_seconds: float = 15.0
    shard_count: int | None = None
    shard_ids: tuple[int, ...] | None = None
    identify_seconds: float = IDENTIFY_SECONDS
    leases_shards: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStores:
    """The parts of the database the bot uses."""

    conversations: Conversations
    channels: ChannelSettings
    personas: Personas
    person_limits: PersonLimits
    tokens: TokenStore
    ledger: Ledger
    notes: Notes
    claims: Claims
    open_questions: OpenQuestions
    stop_requests: StopRequests
