"""Names for what a model computed for a conversation, kept outside the database."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "computed_conversations",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column(
            "conversation_key", sa.String(200), sa.ForeignKey("conversations.key", ondelete="CASCADE"), nullable=False
        ),
    )
    op.create_index(
        "ix_computed_conversations_conversation_key", "computed_conversations", ["conversation_key"], unique=True
    )
