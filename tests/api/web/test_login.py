"""Logging in and changing without a browser: cookies, forged forms, rate limits, headers, old links."""

import re
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from api import keys
from api.web.attempts import MOST
from api.web.forms import FORM_TYPE
from generation.engine import Engine
from tests.api.web.seeding import SetClock
from tests.service import Service, running_service

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGES = ("/", "/tokens", "/usage", "/login")


async def log_in(service: Service, code: str | None = None, **headers: str) -> ClientResponse:
    code = await service.app[keys.LOGIN_LINKS].create() if code is None else code
    response = await service.session.post(f"{service.url}/login.json", json={"code": code}, headers=headers)
    async with response:
        await response.read()
    return response


async def send(service: Service, path: str, fields: dict[str, str], **headers: str) -> tuple[int, str]:
    response = await service.session.post(service.url + path, data=fields, headers=headers, allow_redirects=False)
    async with response:
        return response.status, await response.text()


async def form_token(service: Service) -> str:
    async with service.session.get(f"{service.url}/tokens") as response:
        found = re.search(r'name="form" value="([^"]+)"', await response.text())
    assert found
    return found[1]


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_keeps_to_itself(service: Service, path: str) -> None:
    async with service.session.get(service.url + path) as response:
        page, headers = await response.text(), response.headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert (headers["X-Frame-Options"], headers["X-Content-Type-Options"]) == ("DENY", "nosniff")
    assert headers["Cache-Control"] == "no-store"
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=|src=\"http|href=\"http", page)


async def test_a_session_cookie_is_out_of_scripts_reach_and_secure_over_https(
    demo_engine: Engine, service: Service, tmp_path: Path
) -> None:
    plain = (await log_in(service)).cookies["parley_session"]
    assert (plain["httponly"], plain["samesite"], plain["secure"]) == (True, "Lax", "")
    (tmp_path / "https").mkdir()
    async with running_service(demo_engine, tmp_path / "https", public_url="https://parley.example") as behind_proxy:
        secure = (await log_in(behind_proxy)).cookies["__Host-parley_session"]
        assert (secure["httponly"], secure["samesite"], secure["secure"]) == (True, "Lax", True)


async def test_a_link_is_over_after_a_day_and_when_there_is_a_newer_one(demo_engine: Engine, tmp_path: Path) -> None:
    clock = SetClock()
    async with running_service(demo_engine, tmp_path, clock=clock) as service:
        links = service.app[keys.LOGIN_LINKS]
        older, newer = await links.create(), await links.create()
        assert (await log_in(service, older)).status == 403
        clock.instant += timedelta(hours=25)
        response = await log_in(service, newer)
        assert response.status == 403
        assert "parley_session" not in response.cookies


async def test_a_session_is_over_after_twelve_hours(demo_engine: Engine, tmp_path: Path) -> None:
    clock = SetClock()
    async with running_service(demo_engine, tmp_path, clock=clock) as service:
        await log_in(service)
        token = await form_token(service)
        clock.instant += timedelta(hours=13)
        status, page = await send(service, "/tokens/create", {"form": token, "name": "late"})
        assert status == 401
        assert "You were logged out; nothing was changed." in page


@pytest.mark.parametrize("cookie", ["", "nonsense", "eyJpZCI6IngifQ.c2lnbmVk", "\u00e9", "." * 3000])
async def test_a_forged_session_is_none(service: Service, cookie: str) -> None:
    async with service.session.get(f"{service.url}/tokens", headers={"Cookie": f"parley_session={cookie}"}) as response:
        assert response.status == 200
        assert "Log in to manage API tokens" in await response.text()


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ({}, ""),
        ({}, "forged"),
        ({"Sec-Fetch-Site": "cross-site"}, None),
        ({"Sec-Fetch-Site": "same-site"}, None),
        ({"Origin": "https://evil.example"}, None),
        ({"Origin": "null"}, None),
    ],
    ids=["no token", "forged", "cross-site", "same-site", "other origin", "no origin"],
)
@pytest.mark.parametrize("path", ["/tokens/create", "/tokens/change", "/tokens/rotate", "/tokens/revoke", "/logout"])
async def test_a_form_that_another_site_sends_changes_nothing(
    service: Service, path: str, headers: dict[str, str], form: str | None
) -> None:
    await log_in(service)
    fields = {"form": await form_token(service) if form is None else form, "name": "evil", "id": service.token.id}
    status, _ = await send(service, path, fields, **headers)
    assert status == 403
    assert [token.name for token in await service.tokens.list()] == ["tests"]


async def test_a_form_of_an_earlier_log_in_changes_nothing(service: Service) -> None:
    await log_in(service)
    form = await form_token(service)
    await log_in(service)
    status, page = await send(service, "/tokens/create", {"form": form, "name": "evil"})
    assert status == 403
    assert "This form is of an earlier log-in" in page


async def test_attempts_to_log_in_are_bounded(service: Service) -> None:
    statuses = [(await log_in(service, f"guess-{number}")).status for number in range(MOST + 1)]
    assert statuses == [403] * MOST + [429]
    response = await log_in(service)
    assert response.status == 429
    assert int(response.headers["Retry-After"]) <= 61


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "Name"),
        ({"name": "x" * 65}, "ame"),
        ({"name": "a", "daily_calls": "many"}, "Calls a day: give a whole number"),
        ({"name": "a", "daily_calls": "9" * 30}, "Calls a day: give a whole number"),
        ({"name": "a", "days": "0"}, "Days until it expires: give a whole number"),
        ({"name": "a", "llm_tokens": "1.5"}, "LLM tokens: give a whole number"),
    ],
    ids=["empty", "long", "word", "huge", "days", "fraction"],
)
async def test_bad_fields_are_told_plainly(service: Service, fields: dict[str, str], said: str) -> None:
    await log_in(service)
    status, page = await send(service, "/tokens/create", {"form": await form_token(service), **fields})
    assert status == 400
    assert said in page


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/tokens/rotate", {"seen": "nonsense"}),
        ("/tokens/rotate", {"seen": "1e400"}),
        ("/tokens/rotate", {"seen": "0", "grace": "-1"}),
        ("/tokens/rotate", {"seen": "0", "id": "tok_none"}),
        ("/tokens/revoke", {"id": "tok_none"}),
        ("/tokens/change", {"id": "tok_none"}),
    ],
)
async def test_damaged_forms_are_refused(service: Service, path: str, fields: dict[str, Any]) -> None:
    await log_in(service)
    status, _ = await send(service, path, {"form": await form_token(service), "id": service.token.id, **fields})
    assert status == 400


async def test_a_form_that_is_too_large_or_none_is_a_page_that_says_so(service: Service) -> None:
    await log_in(service)
    headers = {"Content-Type": FORM_TYPE}
    body = BytesIO(b"name=" + b"x" * 2**20)
    async with service.session.post(f"{service.url}/tokens/create", data=body, headers=headers) as response:
        assert response.status == 413
        assert "<h1>Body too large</h1>" in await response.text()
    response = await service.session.post(f"{service.url}/tokens/create", json={})
    async with response:
        assert response.status == 415


async def test_a_reload_of_a_forms_address_leads_to_the_page(service: Service) -> None:
    async with service.session.get(f"{service.url}/tokens/create", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/tokens")


async def test_discord_is_off_without_its_secret(service: Service) -> None:
    for path in ("/login/discord", "/login/discord/callback?code=a&state=b"):
        async with service.session.get(service.url + path) as response:
            assert response.status == 404
            assert "DISCORD_CLIENT_SECRET" in await response.text()
