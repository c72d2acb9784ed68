"""Nothing that a model, a person or Discord wrote becomes a script: a hundred known forms, everywhere text is shown."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from storage.schema import MAX_TOKEN_NAME_LENGTH
from tests.api.scripted_engine import ScriptedEngine
from tests.api.web.browsing import visiting
from tests.api.web.chatting import replied, say, sign_in
from tests.api.web.managing import log_in_as_operator, log_in_with_discord, service_with_discord
from tests.api.web.seeding import call_for_days
from tests.api.web.xss import ATTACKS
from tests.doubles.discord_server import DiscordServer
from tests.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Every attack calls alert, confirm, prompt or eval, or would; a page that was taken over says so here.
TRAP = """
window.taken = [];
for (const name of ["alert", "confirm", "prompt", "print"]) {
    window[name] = () => { window.taken.push(name); return false; };
}
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
    window.taken.push(`${violatedDirective} ${blockedURI}`);
});
"""

LIVING = """() => {
    const forbidden = "audio base embed iframe img link math meta object script style svg video".split(" ");
    const isLive = (element, { name, value }) =>
        /^on/i.test(name)
        || (name === "href" && !/^(https?:|mailto:|\\/|#)/i.test(value))
        || (name === "style" && !element.closest(".chart"));
    const found = [...document.querySelectorAll("main *")].flatMap((element) => [
        ...(forbidden.includes(element.nodeName.toLowerCase()) ? [element.outerHTML] : []),
        ...[...element.attributes].filter((each) => isLive(element, each)).map(({ name, value }) => `${name}=${value}`),
    ]);
    return [...found, ...window.taken];
}"""


async def test_there_are_a_hundred_different_ones() -> None:
    assert len(set(ATTACKS)) >= 100


async def live(page: Page) -> list[str]:
    found: list[str] = await page.evaluate(LIVING)
    return found


async def press_everything(page: Page) -> None:
    """Hover over and click what an attack may have left in the messages."""
    await page.evaluate(
        """() => document.querySelectorAll(".text *").forEach((element) => {
            for (const kind of ["mouseover", "pointerenter", "focus", "toggle"]) element.dispatchEvent(new Event(kind));
            if (element.nodeName !== "A") element.click();
        })"""
    )


async def test_in_what_the_model_says_and_what_is_asked(
    browser: Browser, service: Service, engine: ScriptedEngine
) -> None:
    async with visiting(browser, service.url) as page:
        await page.add_init_script(TRAP)
        await sign_in(page, service)
        for number, start in enumerate(range(0, len(ATTACKS), 10), 1):
            attacks = "\n\n".join(ATTACKS[start : start + 10])
            # In pieces, so that what is half there is rendered, too.
            engine.says = [attacks[index : index + 97] for index in range(0, len(attacks), 97)]
            await say(page, attacks)
            await replied(page, number)
            await press_everything(page)
            assert await live(page) == [], attacks
        await page.reload()
        await replied(page, -(-len(ATTACKS) // 10))
        assert await live(page) == []


async def test_each_alone_in_what_the_model_says(browser: Browser, service: Service) -> None:
    """The renderer by itself: an attack that only works at the start of a text is at one."""
    async with visiting(browser, service.url) as page:
        await page.add_init_script(TRAP)
        await page.goto("/")
        await page.evaluate(
            """async (attacks) => {
                const base = document.querySelector("script[type=module]").src.replace("chat.js", "markdown.js");
                const { render } = await import(base);
                for (const attack of attacks) {
                    const box = document.createElement("div");
                    box.className = "text";
                    document.querySelector("main").append(box);
                    box.replaceChildren(render(attack));
                }
            }""",
            list(ATTACKS),
        )
        await press_everything(page)
        assert await live(page) == []


async def test_in_names_and_personas(browser: Browser, engine: ScriptedEngine, tmp_path: Path) -> None:
    async with DiscordServer() as discord, service_with_discord(engine, tmp_path, discord) as service:
        for attack in ATTACKS:
            name = "".join(filter(str.isprintable, attack))[:MAX_TOKEN_NAME_LENGTH]
            issued = await service.tokens.create(name, daily_calls=1)
            await call_for_days(service, issued.token.id, days=1)
        ada = discord.oauth.person = discord.user(ATTACKS[0])
        for attack in ATTACKS[:20]:
            guild = discord.guild(attack)
            ada.roles.append(discord.role(guild, "Admin", permissions=1 << 5))
        async with visiting(browser, service.url) as page:
            await page.add_init_script(TRAP)
            await log_in_with_discord(page)
            await expect(page.get_by_role("heading", name="API tokens")).to_be_visible()
            assert await live(page) == []
            await log_in_as_operator(page, service)
            assert await live(page) == []
            await page.goto("/usage")
            await expect(page.locator("#calls canvas")).to_be_visible()
            assert await live(page) == []
            await page.goto("/")
            engine.says = ["Fine."]
            await page.locator("#persona").fill("\n".join(ATTACKS))
            await say(page, ATTACKS[0])
            await replied(page)
            assert await live(page) == []


@pytest.mark.parametrize("query", ["state=<script>alert(1)</script>", "error=<svg/onload=alert(1)>", "code=%00"])
async def test_in_addresses(page: Page, service: Service, query: str) -> None:
    await page.add_init_script(TRAP)
    await page.goto(f"/login/discord/callback?{query}")
    assert "alert(1)" not in await page.content()
