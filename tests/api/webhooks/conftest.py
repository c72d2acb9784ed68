"""What the tests of sending share: names that resolve as told, and webhooks to send."""

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from storage.outbox import Webhook


class ScriptedNames(AbstractResolver):
    """Resolves every name to the next list of addresses; the last list stays."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=0,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


MakeWebhook = Callable[..., Webhook]


@pytest.fixture
def make_webhook() -> MakeWebhook:
    def make(url: str, **changes: Any) -> Webhook:
        values: dict[str, Any] = {
            "id": "wh_" + "a" * 32,
            "tenant_id": "tok_a",
            "url": url,
            "signing_key": b"k" * 32,
            "track_id": None,
            "body": '{"status": "success", "message": "grün"}',
            "attempts": 1,
            "created_at": datetime(2026, 11, 20, 12, 0, tzinfo=UTC),
            "lease": "l",
            "delivered_at": None,
            "given_up_at": None,
        }
        return Webhook(**(values | changes))

    return make
