"""The page of what was used, in a real browser, and who sees whose calls."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.api.scripted_engine import ScriptedEngine
from tests.api.web.browsing import visiting
from tests.api.web.chatting import sign_in
from tests.api.web.managing import log_in_as_operator, log_in_with_discord, service_with_discord
from tests.api.web.seeding import call_for_days
from tests.doubles.discord_server import DiscordServer
from tests.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def names(page: Page) -> list[str]:
    await expect(page.locator("#calls canvas")).to_be_visible()
    return await page.locator("main > div > section tbody th").all_inner_texts()


async def test_without_a_token_it_says_what_to_do(page: Page) -> None:
    await page.goto("/usage")
    await expect(page.get_by_text("With an API token in this browser you see its own calls")).to_be_visible()


async def test_a_token_sees_its_own_calls_and_the_page_updates_by_itself(page: Page, service: Service) -> None:
    other = await service.tokens.create("somebody else", daily_calls=10)
    await call_for_days(service, other.token.id, days=3)
    await sign_in(page, service)
    await page.goto("/usage")
    assert await names(page) == ["tests"]
    calls_today = page.locator(".tiles > div").filter(has_text="Calls today")
    await expect(calls_today).to_contain_text("0")
    await service.ask("Hello!")
    await expect(calls_today).to_contain_text("1")
    await page.get_by_text("Calls a day as a table").click()
    await expect(page.get_by_role("table", name="Calls a day").locator("tbody tr")).to_have_count(1)
    await expect(page.locator(".tiles > div").filter(has_text="Engine")).to_contain_text("Ready")
    await expect(page.get_by_role("img", name="Bars: 1 call in 30 days")).to_be_visible()
    await page.get_by_role("button", name="Pause updating").click()
    await expect(page.get_by_role("button", name="Paused: update again")).to_be_visible()


async def test_the_operator_sees_everyones_calls(page: Page, service: Service) -> None:
    await call_for_days(service, service.token.id, days=2)
    await call_for_days(service, "discord:42", days=1)
    await call_for_days(service, "discord:dm:7", days=1)
    await log_in_as_operator(page, service)
    await page.goto("/usage")
    assert (await names(page))[0] == "tests"
    assert set(await names(page)) == {"tests", "Discord server 42", "Direct messages 7"}
    await page.get_by_label("Charts of").select_option("Discord server 42")
    await page.get_by_text("Calls a day as a table").click()
    await expect(page.get_by_role("table", name="Calls a day").locator("tbody tr")).to_have_count(1)


async def test_who_manages_a_discord_server_sees_its_calls_and_no_others(
    browser: Browser, engine: ScriptedEngine, tmp_path: Path
) -> None:
    async with DiscordServer() as discord, service_with_discord(engine, tmp_path, discord) as service:
        mine, other = discord.guild("Mine"), discord.guild("Other")
        ada = discord.oauth.person = discord.user("Ada")
        ada.roles.append(discord.role(mine, "Admin", permissions=1 << 5))
        for guild in (mine, other):
            issued = await service.tokens.create(f"of {guild.name}", daily_calls=10, guild_id=guild.id)
            await call_for_days(service, issued.token.id, days=1)
        async with visiting(browser, service.url) as page:
            await log_in_with_discord(page)
            await page.goto("/usage")
            assert await names(page) == ["Mine in Discord", "of Mine"]


async def test_a_stranger_gets_no_state(service: Service) -> None:
    status, reply, _ = await service.get("/state.json", headers={})
    assert (status, reply["error"]) == (401, "Unauthorized")
