"""A time zone in which no day ends while the tests run."""

from datetime import UTC, datetime

NOON_ZONE = f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"
"""Where it was about noon when the tests began: a test that counts the calls of today must not run into tomorrow."""
