"""A real browser for the tests of the pages: Debian's Chromium, driven by Playwright.

Owns: finding it, and a visitor whose page must say nothing on the console. Does not own: what is visited.
"""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright, expect

AXE = Path(__file__).parents[2] / "javascript/node_modules/axe-core/axe.min.js"

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

WAIT_MILLISECONDS = 60_000
"""For every step: a machine that many share may compute slowly."""

expect.set_options(timeout=WAIT_MILLISECONDS)

EXPECTED = ("Failed to load resource: the server responded with a status of",)
"""What Chromium itself writes of every refusal; the pages tell it their own way."""


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@asynccontextmanager
async def chromium(path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        await browser.close()


@asynccontextmanager
async def visiting(browser: Browser, url: str, **context: Any) -> AsyncIterator[Page]:
    """A visitor with an empty browser of their own. What the page complains of, CSP's refusals too, fails the test."""
    settings: dict[str, Any] = {"base_url": url, "viewport": {"width": 1360, "height": 860}, **context}
    visitor = await browser.new_context(**settings)
    visitor.set_default_timeout(WAIT_MILLISECONDS)
    await visitor.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
    complaints: list[str] = []
    page = await visitor.new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield page
    finally:
        await visitor.close()
    unexpected = [each for each in complaints if not each.startswith(EXPECTED)]
    assert not unexpected, "\n".join(unexpected)


async def violations(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 AA, a line each."""
    await page.evaluate(AXE.read_text("utf-8"))
    options = {"runOnly": {"type": "tag", "values": WCAG}, "resultTypes": ["violations"]}
    found = await page.evaluate("options => axe.run(document, options)", options)
    return [f"{rule['id']}: {node['html'][:120]}" for rule in found["violations"] for node in rule["nodes"]]


async def texts(page: Page, selector: str) -> Sequence[str]:
    return [text.strip() for text in await page.locator(selector).all_inner_texts()]
