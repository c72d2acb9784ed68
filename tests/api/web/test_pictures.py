"""Pictures of the pages as the README shows them; `make pictures` keeps them.

Without `PICTURES`, the name of a folder, they are taken all the same and thrown away.
"""

import os
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image
from playwright.async_api import Browser, Page, expect

from api import keys
from tests.api.scripted_engine import ScriptedEngine
from tests.api.web.browsing import visiting
from tests.api.web.chatting import replied, say
from tests.api.web.managing import log_in_as_operator
from tests.api.web.seeding import call_for_days
from tests.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

MOST_BYTES = 60_000
COLOURS = 96

REPLY = """A generator hands out one value at a time, and waits in between:

```python
def count(limit: int):
    for number in range(1, limit + 1):
        yield number
```

- Nothing is computed before it is asked for.
- `list(count(3))` is **[1, 2, 3]**.
"""

DESK = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 780}


async def take(page: Page, folder: Path, name: str) -> None:
    path = Path(os.environ.get("PICTURES", folder)) / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    await page.evaluate("document.activeElement.blur()")
    await page.screenshot(path=path)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLOURS).save(path, optimize=True)
    assert path.stat().st_size < MOST_BYTES


@pytest.mark.parametrize(
    ("look", "size", "name"), [("light", DESK, "light"), ("dark", PHONE, "dark-phone")], ids=["desk", "phone"]
)
async def test_every_page_can_be_shown(
    browser: Browser,
    service: Service,
    engine: ScriptedEngine,
    tmp_path: Path,
    look: Literal["light", "dark"],
    size: dict[str, int],
    name: str,
) -> None:
    service.app[keys.ATTEMPTS]._by_address.clear()
    for label, days, step in (("Weather bot", 30, 1), ("Homework helper", 24, 2)):
        issued = await service.tokens.create(label, daily_calls=200)
        await call_for_days(service, issued.token.id, days=days, step=step)
    async with visiting(browser, service.url, viewport=size, color_scheme=look) as page:
        await log_in_as_operator(page, service)
        await take(page, tmp_path, f"tokens-{name}")
        await page.goto("/")
        engine.says = [REPLY]
        await say(page, "What is a generator in Python?")
        await replied(page)
        await take(page, tmp_path, f"chat-{name}")
        await page.goto("/usage")
        await expect(page.locator("#calls canvas")).to_be_visible()
        await take(page, tmp_path, f"usage-{name}")
