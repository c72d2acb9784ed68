"""Whether the service that a bot is pointed at takes its token, asked once at the start.

A refusal ends the start with one line; a service that cannot be reached is waited for, because it may be starting too.
"""

import asyncio
import logging

from bot.api_client import ApiClient
from bot.errors import RefusedError, ServiceRefusedTokenError
from parley.failure import FailureError

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0


async def ask_service(url: str, service_token: str) -> None:
    """Ask once. Raises `FailureError` for a refused token, another `RefusedError` when there is no answer."""
    async with ApiClient(url, service_token) as client:
        try:
            await client.models()
        except ServiceRefusedTokenError:
            raise FailureError(
                f"PARLEY_SERVICE_TOKEN: the service at {url} refuses it; set the same secret for `parley api` and "
                "`parley bot`"
            ) from None


async def until_service_answers(url: str, service_token: str) -> None:
    """Ask until there is an answer; raises `FailureError` for a refused token."""
    is_told = False
    while True:
        try:
            await ask_service(url, service_token)
        except RefusedError:
            if not is_told:
                logger.warning("the service at %s does not answer; people are told so until it does", url)
                is_told = True
            await asyncio.sleep(RETRY_SECONDS)
        else:
            if is_told:
                logger.info("the service at %s answers", url)
            return
