"""API tokens and their secrets, the ledger, conversations, notes."""

import sqlalchemy as sa
from alembic import op

from storage.schema import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_tokens()
    _create_ledger()
    _create_conversations()
    op.create_table(
        "notes",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def _create_tokens() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("guild_id", sa.BigInteger),
        sa.Column("created_by", sa.BigInteger),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime),
        sa.Column("revoked_at", UtcDateTime),
        sa.Column("daily_calls", sa.BigInteger, nullable=False),
        sa.Column("llm_balance", sa.BigInteger),
        sa.Column("mature", sa.Boolean, nullable=False),
    )
    op.create_index("ix_api_tokens_guild_id", "api_tokens", ["guild_id"])
    op.create_table(
        "token_secrets",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("token_id", sa.String(64), sa.ForeignKey("api_tokens.id", ondelete="CASCADE"), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("ends_at", UtcDateTime),
    )
    op.create_index("ix_token_secrets_token_id", "token_secrets", ["token_id"])


def _create_ledger() -> None:
    op.create_table(
        "daily_usage",
        sa.Column("tenant_id", sa.String(64), primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("open_calls", sa.BigInteger, nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("completion_tokens", sa.BigInteger, nullable=False),
        sa.CheckConstraint("open_calls >= 0 AND calls >= open_calls", name="open_calls_are_calls"),
    )


def _create_conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("touched_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_conversations_touched_at", "conversations", ["touched_at"])
    op.create_table(
        "conversation_messages",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column(
            "conversation_key",
            sa.String(200),
            sa.ForeignKey("conversations.key", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("author_id", sa.BigInteger),
        sa.Column("discord_message_id", sa.BigInteger),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_conversation_messages_conversation_key", "conversation_messages", ["conversation_key"])
