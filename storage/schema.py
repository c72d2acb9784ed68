"""The tables, as this version of Parley reads and writes them.

`migrations/` brings a database to this shape; a test compares the two. Tables of the bot's processes among themselves
stand in `bot_schema.py`.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
)
from sqlalchemy.types import TypeDecorator

MAX_TENANT_ID_LENGTH = 64
MAX_TOKEN_NAME_LENGTH = 64
MAX_CONVERSATION_KEY_LENGTH = 200
MAX_NOTE_KEY_LENGTH = 64
MAX_PERSONA_NAME_LENGTH = 32
MAX_MODEL_NAME_LENGTH = 200
MAX_CHAT_ID_LENGTH = 64
MAX_WEBHOOK_ID_LENGTH = 64
MAX_LEASE_LENGTH = 32
MAX_COMPUTED_NAME_LENGTH = 32
MAX_PROCESS_ID_LENGTH = 32


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware on this side, UTC in the database.

    SQLite keeps text without an offset, so the conversion is done here; microseconds are kept on both databases.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times, which mean something else on each machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored instant needs a time zone")
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


# SQLite counts up by itself only in a column that is exactly INTEGER.
AutoId = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", String(MAX_TENANT_ID_LENGTH), primary_key=True),
    Column("name", String(MAX_TOKEN_NAME_LENGTH), nullable=False),
    Column("guild_id", BigInteger, index=True),
    Column("created_by", BigInteger),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("daily_calls", BigInteger, nullable=False),
    Column("llm_balance", BigInteger),
    Column("mature", Boolean, nullable=False),
)

# One token may have had many secrets; one that has ended is kept, so that its bearer hears "revoked", not "unknown".
token_secrets = Table(
    "token_secrets",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column(
        "token_id",
        String(MAX_TENANT_ID_LENGTH),
        ForeignKey("api_tokens.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime),
)

# `open_calls` of `calls` are charged and neither settled, kept nor given back yet.
daily_usage = Table(
    "daily_usage",
    metadata,
    Column("tenant_id", String(MAX_TENANT_ID_LENGTH), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("calls", BigInteger, nullable=False),
    Column("open_calls", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    CheckConstraint("open_calls >= 0 AND calls >= open_calls", name="open_calls_are_calls"),
)

# Who charges calls on a database that several processes share, when each was heard of last by the database's clock, and
# how many of the calls it charged are open. A database of one service has no rows here.
processes = Table(
    "processes",
    metadata,
    Column("id", String(MAX_PROCESS_ID_LENGTH), primary_key=True),
    Column("seen_at", UtcDateTime, nullable=False),
)

process_calls = Table(
    "process_calls",
    metadata,
    Column(
        "process_id",
        String(MAX_PROCESS_ID_LENGTH),
        ForeignKey("processes.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("tenant_id", String(MAX_TENANT_ID_LENGTH), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("open_calls", BigInteger, nullable=False),
    CheckConstraint("open_calls >= 0", name="open_calls_are_counted"),
)

conversations = Table(
    "conversations",
    metadata,
    Column("key", String(MAX_CONVERSATION_KEY_LENGTH), primary_key=True),
    Column("touched_at", UtcDateTime, nullable=False, index=True),
)

# A row goes when a word of its conversation is deleted or changed; a new name is drawn when one is asked for.
computed_conversations = Table(
    "computed_conversations",
    metadata,
    Column("name", String(MAX_COMPUTED_NAME_LENGTH), primary_key=True),
    Column(
        "conversation_key",
        String(MAX_CONVERSATION_KEY_LENGTH),
        ForeignKey("conversations.key", ondelete="CASCADE"),
        nullable=False,
        index=True,
        unique=True,
    ),
)

# AUTOINCREMENT: the id of a deleted message is never given to another one.
# `answers_id` names the user's message that a reply answers; `is_cut` says that the reply stopped at its length limit.
conversation_messages = Table(
    "conversation_messages",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column(
        "conversation_key",
        String(MAX_CONVERSATION_KEY_LENGTH),
        ForeignKey("conversations.key", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("role", String(16), nullable=False),
    Column("content", Text, nullable=False),
    Column("author_id", BigInteger, index=True),
    Column("discord_message_id", BigInteger, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("answers_id", AutoId, ForeignKey("conversation_messages.id", ondelete="SET NULL"), index=True),
    Column("is_cut", Boolean, nullable=False, server_default=false()),
    sqlite_autoincrement=True,
)

# Where a reply stands in Discord: `characters` of its text, in the order of `position`, in each message.
# autoincrement off: the ids are Discord's, and PostgreSQL would make a sequence for them.
posted_messages = Table(
    "posted_messages",
    metadata,
    Column("discord_message_id", BigInteger, primary_key=True, autoincrement=False),
    Column(
        "message_id",
        AutoId,
        ForeignKey("conversation_messages.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("channel_id", BigInteger, nullable=False),
    Column("position", Integer, nullable=False),
    Column("characters", Integer, nullable=False),
    Column("asker_id", BigInteger, nullable=False),
)

# `options` is the text of a JSON object.
channel_settings = Table(
    "channel_settings",
    metadata,
    Column("channel_id", BigInteger, primary_key=True, autoincrement=False),
    Column("guild_id", BigInteger, index=True),
    Column("persona", Text),
    Column("persona_name", String(MAX_PERSONA_NAME_LENGTH)),
    Column("options", Text),
    Column("model", String(MAX_MODEL_NAME_LENGTH)),
    Column("changed_by", BigInteger, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

# `folded` is the name as it is compared; folding can make it longer.
personas = Table(
    "personas",
    metadata,
    Column("guild_id", BigInteger, primary_key=True),
    Column("folded", Text, primary_key=True),
    Column("name", String(MAX_PERSONA_NAME_LENGTH), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_by", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# Role 0 is everyone: Discord gives no role that id.
person_limits = Table(
    "person_limits",
    metadata,
    Column("guild_id", BigInteger, primary_key=True),
    Column("role_id", BigInteger, primary_key=True),
    Column("daily_calls", BigInteger, nullable=False),
    Column("changed_by", BigInteger, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

notes = Table(
    "notes",
    metadata,
    Column("key", String(MAX_NOTE_KEY_LENGTH), primary_key=True),
    Column("value", Text, nullable=False),
)

# `beginnings` counts how often the chat was begun anew: what was asked before must not be added after.
chats = Table(
    "chats",
    metadata,
    Column("id", String(MAX_CHAT_ID_LENGTH), primary_key=True),
    Column("tenant_id", String(MAX_TENANT_ID_LENGTH), nullable=False, index=True),
    Column("system_prompt", Text, nullable=False),
    Column("beginnings", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("touched_at", UtcDateTime, nullable=False, index=True),
)

# A turn is one row, so that turns made at the same time stand one after the other. AUTOINCREMENT: an address that
# names a turn never shows another one.
chat_turns = Table(
    "chat_turns",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column(
        "chat_id", String(MAX_CHAT_ID_LENGTH), ForeignKey("chats.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    Column("question", Text, nullable=False),
    Column("reply", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)

# `body` is empty while the reply is being made. Whoever works on a row holds it under `lease` until `leased_until`.
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(MAX_WEBHOOK_ID_LENGTH), primary_key=True),
    Column("tenant_id", String(MAX_TENANT_ID_LENGTH), nullable=False, index=True),
    Column("url", Text, nullable=False),
    Column("signing_key", LargeBinary(32), nullable=False),
    Column("track_id", Text),
    Column("body", Text),
    Column("attempts", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    Column("next_attempt_at", UtcDateTime, nullable=False, index=True),
    Column("leased_until", UtcDateTime),
    Column("lease", String(MAX_LEASE_LENGTH)),
    Column("delivered_at", UtcDateTime),
    Column("given_up_at", UtcDateTime),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("name", String(MAX_NOTE_KEY_LENGTH), primary_key=True),
    Column("key", LargeBinary(32), nullable=False),
)
