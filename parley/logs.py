"""Where log lines go and what they look like. What is in them is the business of whoever writes one."""

import logging
import sys

FORMAT = "%(asctime)s %(levelname)-7s %(name)s %(message)s"

QUIET_LOGGERS = {"discord": logging.WARNING, "aiosqlite": logging.WARNING, "alembic": logging.WARNING}
"""Libraries that speak too much at INFO; aiosqlite at DEBUG would even log statements with their values."""


def configure_logging(*, level: int = logging.INFO) -> None:
    """Send the log of this process to standard error, one line a record."""
    # What the format does not show need not be found out (https://docs.python.org/3/howto/logging.html#optimization).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=level, format=FORMAT, stream=sys.stderr, force=True)
    for name, quiet_level in QUIET_LOGGERS.items():
        logging.getLogger(name).setLevel(quiet_level)
