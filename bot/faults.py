"""A fault as one log line: what kind it was and where, never what it said.

An exception's text may quote what people wrote, so it stays out of the log; the frames are names of this code.
"""

import logging
import traceback
from pathlib import PurePath

_SHOWN_FRAMES = 8


def describe(error: BaseException) -> str:
    """Return the exception's type and the innermost frames, outermost first, without any value."""
    frames = traceback.extract_tb(error.__traceback__)[-_SHOWN_FRAMES:]
    places = [f"{'/'.join(PurePath(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}" for frame in frames]
    return f"{type(error).__name__} at {' > '.join(places) or 'an unknown place'}"


def log_fault(logger: logging.Logger, where: str, error: BaseException) -> None:
    """Log one line at level ERROR; `where` names the place in a few words, without content."""
    logger.error("%s failed: %s", where, describe(error))
