"""The tables by which the bot's processes get along: who does what for all, and what one asks of another.

Nothing in them is worth keeping for longer than a day. Part of `schema.metadata`, as the other tables are.
"""

from sqlalchemy import BigInteger, Boolean, Column, String, Table, Text

from storage.schema import UtcDateTime, metadata

MAX_CLAIM_NAME_LENGTH = 64
MAX_CLAIM_HOLDER_LENGTH = 32
MAX_QUESTION_ID_LENGTH = 32

# What one process does for all, until a moment. `holder` is empty where nobody may claim a name again before that.
claims = Table(
    "claims",
    metadata,
    Column("name", String(MAX_CLAIM_NAME_LENGTH), primary_key=True),
    Column("holder", String(MAX_CLAIM_HOLDER_LENGTH), nullable=False),
    Column("claimed_until", UtcDateTime, nullable=False),
)

# `deed` is the text of a JSON object: what a yes does.
open_questions = Table(
    "open_questions",
    metadata,
    Column("id", String(MAX_QUESTION_ID_LENGTH), primary_key=True),
    Column("asked_id", BigInteger, nullable=False),
    Column("deed", Text, nullable=False),
    Column("open_until", UtcDateTime, nullable=False),
)

# `is_stopped` is empty until the process that writes the reply has answered.
stop_requests = Table(
    "stop_requests",
    metadata,
    Column("discord_message_id", BigInteger, primary_key=True, autoincrement=False),
    Column("presser_id", BigInteger, nullable=False),
    Column("may_manage", Boolean, nullable=False),
    Column("is_stopped", Boolean),
    Column("asked_at", UtcDateTime, nullable=False),
)

# Who had everything forgotten lately, so that no process keeps a turn that was begun before.
forgotten_people = Table(
    "forgotten_people",
    metadata,
    Column("author_id", BigInteger, primary_key=True, autoincrement=False),
    Column("forgotten_at", UtcDateTime, nullable=False),
)
