"""Waiting for something that announces itself to nobody, with a bound instead of a guess."""

import asyncio
from collections.abc import Callable

STEP_SECONDS = 0.01
PATIENCE_SECONDS = 60.0
"""After so long something has failed. It is no claim about speed: a machine that many share may compute slowly."""


async def eventually(condition: Callable[[], bool], *, within_seconds: float = PATIENCE_SECONDS) -> None:
    """Return as soon as the condition holds; raises `TimeoutError` when it does not in time."""
    async with asyncio.timeout(within_seconds):
        while not condition():  # noqa: ASYNC110 - the conditions are plain state of the code under test
            await asyncio.sleep(STEP_SECONDS)
