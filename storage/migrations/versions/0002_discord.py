"""Which message a reply answers and where it stands in Discord; channel settings, personas, limits per person."""

import sqlalchemy as sa
from alembic import op

from storage.schema import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_MESSAGE_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _extend_messages()
    _find_what_replies_answer()
    _create_posted_messages()
    _create_channel_settings()
    _create_personas()
    _create_person_limits()


def _extend_messages() -> None:
    # SQLite takes a reference only as part of the column; other databases get it under its name.
    in_column = op.get_context().dialect.name == "sqlite"
    answers_id = sa.Column("answers_id", _MESSAGE_ID, sa.ForeignKey("conversation_messages.id", ondelete="SET NULL"))
    is_cut = sa.Column("is_cut", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("conversation_messages", answers_id, inline_references=in_column)
    op.add_column("conversation_messages", is_cut)
    for column in ("author_id", "discord_message_id", "answers_id"):
        op.create_index(f"ix_conversation_messages_{column}", "conversation_messages", [column])


def _find_what_replies_answer() -> None:
    """Take each reply for the answer to the nearest user's message before it.

    Walking back in order finds that at the first step; the greatest of all earlier ids would be looked for in the whole
    conversation, for each reply again.
    """
    messages = sa.table(
        "conversation_messages",
        sa.column("id"),
        sa.column("conversation_key"),
        sa.column("role"),
        sa.column("answers_id"),
    )
    earlier = messages.alias("earlier")
    question = (
        sa.select(earlier.c.id)
        .where(
            earlier.c.conversation_key == messages.c.conversation_key,
            earlier.c.role == "user",
            earlier.c.id < messages.c.id,
        )
        .order_by(earlier.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    op.execute(sa.update(messages).where(messages.c.role == "assistant").values(answers_id=question))


def _create_posted_messages() -> None:
    op.create_table(
        "posted_messages",
        sa.Column("discord_message_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column(
            "message_id",
            _MESSAGE_ID,
            sa.ForeignKey("conversation_messages.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("channel_id", sa.BigInteger, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("characters", sa.Integer, nullable=False),
        sa.Column("asker_id", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_posted_messages_message_id", "posted_messages", ["message_id"])


def _create_channel_settings() -> None:
    op.create_table(
        "channel_settings",
        sa.Column("channel_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("guild_id", sa.BigInteger),
        sa.Column("persona", sa.Text),
        sa.Column("persona_name", sa.String(32)),
        sa.Column("options", sa.Text),
        sa.Column("model", sa.String(200)),
        sa.Column("changed_by", sa.BigInteger, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_channel_settings_guild_id", "channel_settings", ["guild_id"])


def _create_personas() -> None:
    op.create_table(
        "personas",
        sa.Column("guild_id", sa.BigInteger, primary_key=True),
        sa.Column("folded", sa.Text, primary_key=True),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created_by", sa.BigInteger, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )


def _create_person_limits() -> None:
    op.create_table(
        "person_limits",
        sa.Column("guild_id", sa.BigInteger, primary_key=True),
        sa.Column("role_id", sa.BigInteger, primary_key=True),
        sa.Column("daily_calls", sa.BigInteger, nullable=False),
        sa.Column("changed_by", sa.BigInteger, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
    )
