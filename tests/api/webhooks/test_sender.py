"""One attempt: signed, bounded, and never to a machine that is not public."""

import asyncio
import hashlib
import hmac
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from api.webhooks import transport
from api.webhooks.addresses import AddressRefusedError, check_reached
from api.webhooks.sender import Outcome, Sender, sign, signing_key
from api.webhooks.transport import CheckedConnector, _open_checked, make_connector
from storage.clock import SystemClock
from tests.api.webhooks.conftest import MakeWebhook, ScriptedNames
from tests.doubles.webhook_receiver import Receiver, receiving

CERTIFICATE = Path(__file__).with_name("certificate.pem")


@asynccontextmanager
async def sending(connector: aiohttp.TCPConnector, *, allows_private: bool) -> AsyncIterator[Sender]:
    sender = Sender(connector, clock=SystemClock(), allows_private=allows_private)
    try:
        yield sender
    finally:
        await sender.close()


@asynccontextmanager
async def sending_anywhere() -> AsyncIterator[tuple[Sender, Receiver]]:
    """A sender that may reach private machines, and a receiver on loopback."""
    async with receiving() as receiver, sending(make_connector(allows_private=True), allows_private=True) as sender:
        yield sender, receiver


async def test_a_webhook_arrives_whole_with_its_id_and_a_signature_its_receiver_can_check(
    make_webhook: MakeWebhook,
) -> None:
    key = signing_key("parley_secret")
    async with sending_anywhere() as (sender, receiver):
        webhook = make_webhook(receiver.url + "/hook?a=b", signing_key=key)
        assert await sender.send(webhook) is Outcome.RECEIVED
    (received,) = receiver.received
    assert received.path == "/hook?a=b"
    assert received.body.decode() == webhook.body
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["X-Parley-Webhook-Id"] == webhook.id
    timestamp = received.headers["X-Parley-Timestamp"]
    assert abs(int(timestamp) - time.time()) < 60
    # As a receiver would do it, from its API token alone.
    own_key = hashlib.sha256(b"parley-webhook:parley_secret").digest()
    digest = hmac.new(own_key, timestamp.encode() + b"." + received.body, hashlib.sha256).hexdigest()
    assert received.headers["X-Parley-Signature"] == f"v1={digest}"


def test_a_signature_changes_with_the_time_the_body_and_the_token() -> None:
    signatures = {
        sign(signing_key(secret), timestamp=timestamp, body=body)
        for secret in ("a", "b")
        for timestamp in (1, 2)
        for body in (b"", b"x")
    }
    assert len(signatures) == 8


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *((200, Outcome.RECEIVED), (202, Outcome.RECEIVED), (299, Outcome.RECEIVED)),
        *((400, Outcome.FAILED), (404, Outcome.FAILED), (429, Outcome.FAILED), (500, Outcome.FAILED)),
        (410, Outcome.UNWANTED),
    ],
)
async def test_only_a_2xx_counts_as_received_and_gone_ends_it(
    make_webhook: MakeWebhook, status: int, outcome: Outcome
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    async with sending_anywhere() as (sender, receiver):
        receiver.answer = answer
        assert await sender.send(make_webhook(receiver.url)) is outcome


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(make_webhook: MakeWebhook, status: int) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": "/elsewhere", "Set-Cookie": "a=b"})

    async with sending_anywhere() as (sender, receiver):
        receiver.answer = answer
        for _ in range(2):
            assert await sender.send(make_webhook(receiver.url + "/hook")) is Outcome.FAILED
    assert [each.path for each in receiver.received] == ["/hook", "/hook"]
    assert "Cookie" not in receiver.received[1].headers


async def test_an_endless_answer_is_not_read(make_webhook: MakeWebhook) -> None:
    sent = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)
            sent += 65_536

    async with sending_anywhere() as (sender, receiver):
        receiver.answer = answer
        assert await sender.send(make_webhook(receiver.url)) is Outcome.RECEIVED
    # What lies in the buffers of the two sockets, not what the sender has taken in.
    assert sent < 64 * 2**20


async def test_a_receiver_that_never_answers_is_given_up(
    make_webhook: MakeWebhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr("api.webhooks.sender.ATTEMPT_SECONDS", 2.0)
    async with sending_anywhere() as (sender, receiver):
        receiver.answer = answer
        assert await sender.send(make_webhook(receiver.url)) is Outcome.FAILED
    assert len(receiver.received) == 1


async def test_nobody_there_is_a_failure(make_webhook: MakeWebhook) -> None:
    async with receiving() as receiver:
        url = receiver.url
    async with sending(make_connector(allows_private=True), allows_private=True) as sender:
        assert await sender.send(make_webhook(url)) is Outcome.FAILED
        assert await sender.send(make_webhook("https://no-such-name.invalid/")) is Outcome.FAILED


# From here on: without the operator's setting. The receiver listens on loopback, so nothing may ever reach it.


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["::1"], ["169.254.169.254"], ["10.1.2.3"], ["1.1.1.1", "127.0.0.1"], []]
)
async def test_a_name_that_stands_for_a_private_machine_is_not_connected_to(
    make_webhook: MakeWebhook, addresses: list[str]
) -> None:
    names = ScriptedNames(addresses)
    async with receiving() as receiver, sending(CheckedConnector(names), allows_private=False) as sender:
        assert await sender.send(make_webhook("https://hook.example.org:8443/")) is Outcome.FAILED
        assert receiver.received == []
    assert names.asked == ["hook.example.org"]


async def test_each_attempt_resolves_anew_and_checks_anew(make_webhook: MakeWebhook) -> None:
    names = ScriptedNames(["127.0.0.1"], ["::ffff:127.0.0.1"], ["127.0.0.1"])
    async with sending(CheckedConnector(names), allows_private=False) as sender:
        for _ in range(3):
            assert await sender.send(make_webhook("https://hook.example.org/")) is Outcome.FAILED
    assert len(names.asked) == 3


async def test_what_was_accepted_under_another_setting_is_refused_when_it_is_sent(make_webhook: MakeWebhook) -> None:
    names = ScriptedNames(["127.0.0.1"])
    async with receiving() as receiver, sending(CheckedConnector(names), allows_private=False) as sender:
        assert await sender.send(make_webhook(receiver.url)) is Outcome.FAILED
        assert receiver.received == []
    assert names.asked == []


@pytest.mark.parametrize("layer", ["names", "socket", "peer"])
async def test_each_layer_alone_keeps_private_machines_away(
    make_webhook: MakeWebhook, monkeypatch: pytest.MonkeyPatch, layer: str
) -> None:
    """Two of the three checks are switched off; the one left must do."""
    check = check_reached
    calls = {"names": 0, "socket": 1, "peer": 2}
    seen: list[str] = []

    def check_one(text: str) -> None:
        seen.append(text)
        if len(seen) - 1 == calls[layer]:
            check(text)

    monkeypatch.setattr(transport, "check_reached", check_one)
    async with receiving() as receiver:
        names = ScriptedNames(["127.0.0.1"])
        connector = CheckedConnector(names)
        session = aiohttp.ClientSession(connector=connector)
        with pytest.raises(AddressRefusedError):
            await session.post(f"http://hook.example.org:{receiver.port}/", data=b"secret")
        await session.close()
        assert receiver.received == []
    assert len(seen) == calls[layer] + 1


def test_no_socket_is_made_for_a_private_machine() -> None:
    for family, address in ((2, ("127.0.0.1", 443)), (10, ("fe80::1", 443, 0, 1))):
        with pytest.raises(AddressRefusedError):
            _open_checked((family, 1, 6, "", address))


async def test_name_and_certificate_are_those_of_the_address_not_of_the_machine(
    make_webhook: MakeWebhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "check_reached", lambda _: None)
    monkeypatch.setattr("api.webhooks.addresses.PUBLIC_PORTS", range(65536))
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(CERTIFICATE))
    server.load_cert_chain(CERTIFICATE)
    asked: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with receiving(context=server) as receiver:
        connector = CheckedConnector(ScriptedNames(["127.0.0.1"]), ssl=client)
        async with sending(connector, allows_private=False) as sender:
            good = make_webhook(f"https://hook.example.org:{receiver.port}/")
            assert await sender.send(good) is Outcome.RECEIVED
            other = make_webhook(f"https://other.example.org:{receiver.port}/")
            assert await sender.send(other) is Outcome.FAILED
        assert [each.headers["Host"] for each in receiver.received] == [f"hook.example.org:{receiver.port}"]
    assert asked == ["hook.example.org", "other.example.org"]
