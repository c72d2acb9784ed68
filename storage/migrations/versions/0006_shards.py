"""What several processes of one bot tell each other."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "claims",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("holder", sa.String(32), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "open_questions",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("asked_id", sa.BigInteger, nullable=False),
        sa.Column("deed", sa.Text, nullable=False),
        sa.Column("open_until", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "stop_requests",
        sa.Column("discord_message_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("presser_id", sa.BigInteger, nullable=False),
        sa.Column("may_manage", sa.Boolean, nullable=False),
        sa.Column("is_stopped", sa.Boolean),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "forgotten_people",
        sa.Column("author_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("forgotten_at", sa.DateTime(timezone=True), nullable=False),
    )
