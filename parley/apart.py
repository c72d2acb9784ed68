"""A bot in a process of its own, against a service elsewhere.

Owns: that a service which refuses the bot's token ends it with one line, at the start or later. Does not own: asking
the service (`service_check.py`), or the bot (`bot/runner.py`).
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from rich.console import Console

from bot.config import BotConfig
from bot.errors import RefusedError
from parley.service_check import ask_service, until_service_answers


async def run_apart(config: BotConfig, bot: Coroutine[Any, Any, None], console: Console) -> None:
    """Run the bot until cancelled. Raises `FailureError`, or what the bot raises."""
    try:
        with contextlib.suppress(RefusedError):
            await ask_service(config.api_url, config.service_token)
    except BaseException:
        bot.close()
        raise
    console.print(f"The bot sends requests to {config.api_url}. {_describe_shards(config)}Stop with Ctrl-C.")
    # The first one ends well when the service takes the token, the second one never.
    steps = [
        asyncio.create_task(until_service_answers(config.api_url, config.service_token)),
        asyncio.create_task(bot),
    ]
    try:
        await asyncio.gather(*steps)
    finally:
        for each in steps:
            each.cancel()
        await asyncio.gather(*steps, return_exceptions=True)


def _describe_shards(config: BotConfig) -> str:
    if config.shard_ids is None:
        return ""
    ids = ", ".join(map(str, config.shard_ids))
    return f"It is for {'shard' if len(config.shard_ids) == 1 else 'shards'} {ids} of {config.shard_count}. "
