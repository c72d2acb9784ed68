"""What a visitor of the start page does, in one line each."""

from playwright.async_api import Page, expect

from tests.service import Service


async def sign_in(page: Page, service: Service, *, secret: str | None = None) -> None:
    await page.goto("/")
    await page.get_by_label("API token").fill(secret or service.secret)
    await page.get_by_role("button", name="Start").click()
    await expect(page.get_by_label("Message", exact=True)).to_be_focused()


async def say(page: Page, text: str) -> None:
    await page.get_by_label("Message", exact=True).fill(text)
    await page.keyboard.press("Enter")


async def replied(page: Page, count: int = 1) -> str:
    """Wait for that many whole replies; returns the last one's text, which may be none."""
    await expect(page.locator(".message.assistant")).to_have_count(count)
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_visible()
    await painted(page)
    return (await page.locator(".message.assistant .text").last.inner_text()).strip()


async def painted(page: Page) -> None:
    """Wait for the next picture of the page: a text is set in type there, a moment after it came."""
    await page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


async def set_option(page: Page, name: str, value: str) -> None:
    field = page.locator(f"#option-{name}")
    if not await field.is_visible():
        await page.get_by_text("More options").click()
    await field.fill(value)
