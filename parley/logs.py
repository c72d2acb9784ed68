"""Where log lines go and what they look like. What is in them is the business of whoever writes one."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

LogFormat = Literal["text", "json"]

TEXT_FORMAT = "%(asctime)s %(levelname)-7s %(name)s %(message)s"

QUIET_LOGGERS = {"discord": logging.WARNING, "aiosqlite": logging.WARNING, "alembic": logging.WARNING}
"""Libraries that speak too much at INFO; aiosqlite at DEBUG would even log statements with their values."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` (RFC 3339, UTC), `level`, `logger`, then the record's own fields or its message.

    Of an exception its type alone is said: its text may quote what somebody wrote.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Render a record."""
        said: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        fields = getattr(record, "fields", None)
        said |= fields if isinstance(fields, dict) else {"message": record.getMessage()}
        if record.exc_info and record.exc_info[0] is not None:
            said["error"] = record.exc_info[0].__name__
        return json.dumps(said, ensure_ascii=False, default=str)


def configure_logging(*, level: int = logging.INFO, log_format: LogFormat = "text") -> None:
    """Send the log of this process to standard error, one line a record."""
    # What the format does not show need not be found out (https://docs.python.org/3/howto/logging.html#optimization).
    logging._srcfile = None  # noqa: SLF001 - the documented way
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else logging.Formatter(TEXT_FORMAT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, quiet_level in QUIET_LOGGERS.items():
        logging.getLogger(name).setLevel(quiet_level)
