"""The pages for everybody: checked by axe, without a mouse, on a phone, light and dark."""

from typing import Literal

import pytest
from playwright.async_api import Browser, Page, expect

from tests.api.scripted_engine import ScriptedEngine
from tests.api.web.browsing import violations, visiting
from tests.api.web.chatting import replied, say
from tests.api.web.managing import log_in_as_operator
from tests.api.web.seeding import call_for_days
from tests.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

DESK = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}

REPLY = """# Title

> quoted

```python
print(1)
```

| a | b |
|---|---|
| 1 | [2](https://x.example) |

- [x] done
"""


async def is_wider_than_the_screen(page: Page) -> bool:
    wider: bool = await page.evaluate(
        """[...document.querySelectorAll(".scroll")].some(each => each.scrollWidth > each.clientWidth)
            || document.documentElement.scrollWidth > window.innerWidth"""
    )
    return wider


@pytest.mark.parametrize(("look", "viewport"), [("light", DESK), ("dark", PHONE)], ids=["light desk", "dark phone"])
async def test_axe_finds_nothing_against_wcag_22_aa_on_any_page(
    browser: Browser,
    service: Service,
    engine: ScriptedEngine,
    look: Literal["light", "dark"],
    viewport: dict[str, int],
) -> None:
    await call_for_days(service, service.token.id, days=3)
    found: dict[str, list[str]] = {}
    async with visiting(browser, service.url, viewport=viewport, color_scheme=look) as page:
        for path in ("/", "/login"):
            await page.goto(path)
            found[f"first {path}"] = await violations(page)
        await log_in_as_operator(page, service)
        await page.get_by_label("Rotate tests").click()
        found["tokens"] = await violations(page)
        assert not await is_wider_than_the_screen(page)
        await page.goto("/")
        engine.says = [REPLY]
        await say(page, "Show me.")
        await replied(page)
        if viewport == PHONE:
            await page.get_by_role("button", name="Settings").click()
        await page.get_by_text("More options").click()
        found["chat"] = await violations(page)
        assert not await is_wider_than_the_screen(page)
        await page.goto("/usage")
        await expect(page.locator("#calls canvas")).to_be_visible()
        await page.get_by_text("Calls a day as a table").click()
        found["usage"] = await violations(page)
        assert not await is_wider_than_the_screen(page)
        for path in ("/docs", "/tokens/nowhere"):
            await page.goto(path)
            found[path] = await violations(page)
    assert {where: what for where, what in found.items() if what} == {}


async def test_the_colours_follow_the_system(browser: Browser, service: Service) -> None:
    seen = set()
    for look in ("light", "dark"):
        async with visiting(browser, service.url, color_scheme=look) as page:
            await page.goto("/")
            seen.add(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(seen) == 2


async def test_a_whole_visit_without_a_mouse(page: Page, service: Service, engine: ScriptedEngine) -> None:
    await page.goto("/")
    await page.keyboard.press("Tab")
    await expect(page.get_by_text("Skip to the content")).to_be_focused()
    await page.get_by_label("API token").focus()
    await page.keyboard.type(service.secret)
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Message", exact=True)).to_be_focused()
    await page.keyboard.type("Count from 1 to 10.")
    await page.keyboard.press("Enter")
    assert "9, 10" in await replied(page)
    await expect(page.get_by_label("Message", exact=True)).to_be_focused()
    # Back through the page to the message's own buttons.
    for _ in range(12):
        await page.keyboard.press("Shift+Tab")
        if await page.evaluate("document.activeElement.textContent") == "Regenerate":
            break
    await page.keyboard.press("Enter")
    assert "9, 10" in await replied(page)
    assert await service.calls_used() == 2
    engine.may_go_on.clear()
    await page.get_by_label("Message", exact=True).focus()
    await page.keyboard.type("Wait.")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Stop")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("status")).to_have_text("Stopped.")
    engine.may_go_on.set()
