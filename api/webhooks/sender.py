"""One attempt to send one webhook, signed and bounded.

Owns: the request, and what its answer means. Does not own: when it is tried (`deliverer.py`), whom it may reach
(`transport.py`).
"""

import asyncio
import enum
import hashlib
import hmac
import logging
from importlib.metadata import version

import aiohttp
from yarl import URL

from api.webhooks.addresses import AddressRefusedError, check_url
from storage.clock import Clock
from storage.outbox import Webhook

logger = logging.getLogger(__name__)

ID_HEADER = "X-Parley-Webhook-Id"
"""The same at every attempt: a receiver that has seen it has the reply already."""

TIMESTAMP_HEADER = "X-Parley-Timestamp"
SIGNATURE_HEADER = "X-Parley-Signature"

ATTEMPT_SECONDS = 15.0
CONNECT_SECONDS = 5.0
"""Well below the lease of the outbox, so that nobody takes over what is being sent."""

_KEY_PREFIX = "parley-webhook:"


class Outcome(enum.Enum):
    """What came of an attempt."""

    RECEIVED = "received"
    FAILED = "failed"
    UNWANTED = "unwanted"
    """The receiver said 410 Gone: it is not to be tried again."""


def signing_key(secret: str) -> bytes:
    """Derive the key of an API token, which its holder can do too: nothing else has to be told or kept."""
    return hashlib.sha256((_KEY_PREFIX + secret).encode()).digest()


def sign(key: bytes, *, timestamp: int, body: bytes) -> str:
    """Sign `<Unix seconds>.<body>`: `v1=` and the HMAC-SHA256 in hexadecimal."""
    return "v1=" + hmac.new(key, b"%d." % timestamp + body, hashlib.sha256).hexdigest()


class Sender:
    """Sends webhooks over one connector, which it closes in the end."""

    def __init__(self, connector: aiohttp.TCPConnector, *, clock: Clock, allows_private: bool) -> None:
        self._clock = clock
        self._allows_private = allows_private
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=ATTEMPT_SECONDS, connect=CONNECT_SECONDS),
            headers={"User-Agent": f"Parley/{version('parley')}", "Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def send(self, webhook: Webhook) -> Outcome:
        """Try once. Never raises for anything that the receiver or the way to it does."""
        try:
            url = check_url(webhook.url, allows_private=self._allows_private)
            status = await self._post(url, webhook)
        except (AddressRefusedError, aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            _log(webhook, type(error).__name__)
            return Outcome.FAILED
        _log(webhook, str(status))
        if 200 <= status < 300:
            return Outcome.RECEIVED
        return Outcome.UNWANTED if status == 410 else Outcome.FAILED

    async def _post(self, url: URL, webhook: Webhook) -> int:
        """Post the body and return the status; what else is answered is not read, and a redirect not followed."""
        body = (webhook.body or "").encode()
        timestamp = int(self._clock.now().timestamp())
        headers = {
            "Content-Type": "application/json",
            ID_HEADER: webhook.id,
            TIMESTAMP_HEADER: str(timestamp),
            SIGNATURE_HEADER: sign(webhook.signing_key, timestamp=timestamp, body=body),
        }
        async with asyncio.timeout(ATTEMPT_SECONDS):
            response = await self._session.post(url, data=body, headers=headers, allow_redirects=False)
            response.close()
        return response.status


def _log(webhook: Webhook, what: str) -> None:
    logger.info("webhook %s of %s, attempt %d: %s", webhook.id[:8], webhook.tenant_id, webhook.attempts, what)
