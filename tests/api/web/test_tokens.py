"""The page of API tokens in a real browser: both log-ins, and everything that can be done there."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from storage.errors import TokenRevokedError
from tests.api.scripted_engine import ScriptedEngine
from tests.api.web.browsing import visiting
from tests.api.web.managing import log_in_as_operator, log_in_with_discord, login_link, service_with_discord
from tests.doubles.discord_server import DiscordServer
from tests.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = re.compile(r"parley_[\w-]{43}")


@pytest_asyncio.fixture(loop_scope="session")
async def discord() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        yield server
        assert server.state.breaches == []
        assert server.oauth.open_tokens == 0


@pytest_asyncio.fixture(loop_scope="session")
async def shared(engine: ScriptedEngine, tmp_path: Path, discord: DiscordServer) -> AsyncIterator[Service]:
    """A service where people log in with Discord."""
    (tmp_path / "shared").mkdir()
    async with service_with_discord(engine, tmp_path / "shared", discord, tokens_per_server=2) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def guest(browser: Browser, shared: Service) -> AsyncIterator[Page]:
    async with visiting(browser, shared.url) as page:
        yield page


async def shown_secret(page: Page) -> str:
    secret = await page.locator("#secret").input_value()
    assert SECRET.fullmatch(secret)
    return secret


async def make(page: Page, name: str, **fields: str) -> None:
    form = page.locator("form.create").last
    if not await form.is_visible():
        await page.get_by_text("Make a token").last.click()
    await form.get_by_label("Name").fill(name)
    for label, value in fields.items():
        await form.get_by_label(label.replace("_", " ")).fill(value)
    await form.get_by_role("button", name="Make the token").click()


async def edit(page: Page, name: str, **fields: str) -> None:
    row = page.get_by_role("row").filter(has_text=name)
    await row.get_by_label(f"Edit {name}").click()
    for label, value in fields.items():
        await row.get_by_label(label.replace("_", " "), exact=True).fill(value)
    await row.get_by_role("button", name="Save").click()


async def test_the_link_logs_in_once_and_hands_over_a_token(page: Page, service: Service) -> None:
    link = await login_link(service)
    await page.goto(link)
    await expect(page.get_by_label("Message", exact=True)).to_be_visible()
    await expect(page.get_by_text("Token “Start page”")).to_be_visible()
    assert "#" not in page.url
    await page.goto("about:blank")
    await page.goto(link)
    await expect(page.get_by_text("This link was used already or has expired.")).to_be_visible()


async def test_a_token_is_made_rotated_with_grace_and_revoked(page: Page, service: Service) -> None:
    await log_in_as_operator(page, service)
    await make(page, "My program", Calls_a_day="5", LLM_tokens_in_all="1000", Days_until_it_expires="30")
    await expect(page.get_by_text("This is the only time it is shown.")).to_be_visible()
    first = await shown_secret(page)
    token = await service.tokens.find(first)
    assert (token.name, token.daily_calls, token.llm_balance) == ("My program", 5, 1000)
    assert token.expires_at is not None
    await page.get_by_role("button", name="Copy").click()
    assert await page.evaluate("navigator.clipboard.readText()") == first

    await page.goto("/tokens")
    assert not SECRET.search(await page.content())
    await page.get_by_label("Rotate My program").click()
    await page.get_by_label("The old secret ends").last.select_option("in 1 day")
    await page.get_by_role("button", name="New secret").last.click()
    second = await shown_secret(page)
    assert (await service.tokens.find(first)).id == (await service.tokens.find(second)).id == token.id

    await page.get_by_label("Revoke My program").click()
    await page.get_by_role("button", name="Revoke for good").last.click()
    await expect(page.get_by_text("“My program” is revoked.")).to_be_visible()
    with pytest.raises(TokenRevokedError):
        await service.tokens.find(second)


async def test_a_token_gets_another_name_and_other_limits(page: Page, service: Service) -> None:
    await log_in_as_operator(page, service)
    await make(page, "My program", Calls_a_day="5", LLM_tokens_in_all="1000")
    token = await service.tokens.find(await shown_secret(page))
    await edit(page, "My program", Name="Mine", Calls_a_day="7")
    await expect(page.get_by_text("“Mine” is changed.")).to_be_visible()
    await expect(page.get_by_role("row").filter(has_text=token.id)).to_contain_text("0 of 7")
    changed = await service.tokens.get(token.id)
    assert (changed.name, changed.daily_calls, changed.llm_balance) == ("Mine", 7, 1000)
    await edit(page, "Mine", LLM_tokens_left="2000")
    await expect(page.get_by_text("2,000 left")).to_be_visible()
    await page.evaluate("document.querySelectorAll('form').forEach(form => form.noValidate = true)")
    await edit(page, "Mine", Name="Yours", Calls_a_day="-1")
    await expect(page.get_by_text("Calls a day: give a whole number from 0 to 2,147,483,647.")).to_be_visible()
    row = page.get_by_role("row").filter(has_text=token.id)
    await expect(row.get_by_label("Name")).to_have_value("Yours")
    await expect(page.locator("form.create").get_by_label("Name")).to_have_value("")
    assert (await service.tokens.get(token.id)).name == "Mine"


async def test_two_tabs_that_rotate_the_same_token_lose_no_secret(page: Page, service: Service) -> None:
    await log_in_as_operator(page, service)
    other = await page.context.new_page()
    await other.goto("/tokens")
    for tab in (page, other):
        await tab.get_by_label("Rotate tests").click()
        await tab.get_by_role("button", name="New secret").first.click()
        await tab.wait_for_load_state()
    secret = await shown_secret(page)
    await expect(other.get_by_text("“tests” was rotated elsewhere since this page was loaded")).to_be_visible()
    assert (await service.tokens.find(secret)).id == service.token.id


async def test_a_reload_makes_nothing_twice_and_a_wrong_number_loses_nothing(page: Page, service: Service) -> None:
    await log_in_as_operator(page, service)
    await make(page, "Once")
    await shown_secret(page)
    await page.reload()
    await expect(page.get_by_text("This form was sent already; nothing was done a second time.")).to_be_visible()
    assert [token.name for token in await service.tokens.list()].count("Once") == 1
    await page.goto("/tokens")
    await page.evaluate("document.querySelectorAll('form').forEach(form => form.noValidate = true)")
    await make(page, "Another", Calls_a_day="-3")
    await expect(page.get_by_text("Calls a day: give a whole number from 0 to 2,147,483,647.")).to_be_visible()
    await expect(page.locator("form.create").get_by_label("Name")).to_have_value("Another")


async def test_the_back_button_after_a_log_out_shows_nothing(page: Page, service: Service) -> None:
    await log_in_as_operator(page, service)
    cookies = await page.context.cookies()
    session = next(cookie for cookie in cookies if cookie["name"] == "parley_session")
    assert (session["httpOnly"], session["sameSite"]) == (True, "Lax")
    await page.get_by_role("button", name="Log out").click()
    await page.wait_for_url("**/login")
    await page.go_back()
    await expect(page.get_by_role("heading", name="Log in to manage API tokens")).to_be_visible()
    await page.context.add_cookies([session])  # type: ignore[list-item] # a cookie as it was read
    await page.goto("/tokens")
    await expect(page.get_by_role("heading", name="Log in to manage API tokens")).to_be_visible()


async def test_discord_shows_the_servers_one_manages_and_the_bot_is_in(
    guest: Page, shared: Service, discord: DiscordServer
) -> None:
    garden, castle, elsewhere = discord.guild("Garden"), discord.guild("Castle"), discord.guild("Elsewhere")
    elsewhere.has_bot = False
    ada = discord.user("Ada")
    ada.roles.append(discord.role(garden, "Gardener", permissions=1 << 5))
    ada.roles.append(discord.role(elsewhere, "Admin", permissions=1 << 3))
    discord.oauth.person = ada
    await log_in_with_discord(guest)
    await expect(guest.get_by_role("heading", name="Garden")).to_be_visible()
    await expect(guest.get_by_text("Ada", exact=True)).to_be_visible()
    assert await guest.get_by_text(re.compile("Castle|Elsewhere")).count() == 0
    await make(guest, "Watering", Calls_a_day="7")
    token = await shared.tokens.find(await shown_secret(guest))
    assert (token.guild_id, token.created_by, token.daily_calls) == (garden.id, ada.id, 7)
    await make(guest, "Weeding")
    await make(guest, "Sowing")
    await expect(guest.get_by_text("This server has 2 tokens already; revoke one first.")).to_be_visible()
    # A form for another server, or for somebody else's token, is refused.
    for server, said in ((castle.id, "You do not manage this Discord server"), (garden.id, "There is no such token")):
        await guest.goto("/tokens")
        await guest.evaluate(
            """([id, server]) => {
                const form = document.querySelector("form[action='/tokens/revoke']");
                form.elements.id.value = id;
                form.elements.server.value = server;
                form.requestSubmit();
            }""",
            [shared.token.id, str(server)],
        )
        await expect(guest.get_by_text(said)).to_be_visible()
    assert (await shared.tokens.get(shared.token.id)).revoked_at is None


@pytest.mark.parametrize("reason", ["declined", "forged", "down"])
async def test_a_log_in_that_fails_at_discord_is_told_plainly(
    guest: Page, shared: Service, discord: DiscordServer, reason: str
) -> None:
    discord.oauth.person = None if reason == "declined" else discord.user("Ada")
    discord.oauth.is_down = reason == "down"
    if reason == "forged":
        await guest.goto("/login/discord/callback?code=abc&state=of-another-browser")
        said = "This log-in did not begin in this browser"
    else:
        await log_in_with_discord(guest)
        said = "You declined at Discord" if reason == "declined" else "Discord did not answer as it should"
    await expect(guest.get_by_role("alert")).to_contain_text(said)
    await guest.goto("/tokens")
    await expect(guest.get_by_role("heading", name="Log in to manage API tokens")).to_be_visible()


async def test_a_code_is_taken_once(shared: Service, discord: DiscordServer, guest: Page) -> None:
    discord.oauth.person = discord.user("Ada")
    async with guest.expect_request(lambda request: "callback?" in request.url) as asked:
        await log_in_with_discord(guest)
    await expect(guest.get_by_text("You manage no Discord server that the bot is in.")).to_be_visible()
    back = (await asked.value).url
    await guest.goto(back)
    await expect(guest.get_by_role("alert")).to_contain_text("This log-in did not begin in this browser")
