"""The start page in a real browser: a first visit, and talking with the real demonstration model."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from playwright.async_api import Browser, Page, expect

from generation.launch import LlamaCppConfig
from generation.llama_cpp import LlamaCppEngine
from parley.demo_model import DEMO_NAME, demo_path
from tests.api.scripted_engine import ScriptedEngine
from tests.api.web.browsing import visiting
from tests.api.web.chatting import replied, say, set_option, sign_in
from tests.service import Service, running_service

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def own_engine() -> AsyncIterator[tuple[ScriptedEngine, psutil.Process]]:
    """An engine that a test may kill, and its process."""
    engine = LlamaCppEngine(
        LlamaCppConfig(model_path=demo_path(), model_name=DEMO_NAME, context_tokens=4096, slots=1, threads=1)
    )
    await engine.start()
    assert engine.child_pid is not None
    yield ScriptedEngine(engine), psutil.Process(engine.child_pid)
    await engine.close()


ENDLESS = {"num_predict": "-2", "temperature": "2"}


async def test_a_first_visit_asks_for_a_token_and_says_where_there_are_some(page: Page) -> None:
    await page.goto("/")
    await expect(page.get_by_role("heading", name="Talk to the model")).to_be_visible()
    await expect(page.get_by_text("/developer token create")).to_be_visible()
    await expect(page.get_by_label("Message", exact=True)).to_be_hidden()


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        ("hello", "That is no API token: it begins with parley_ and has 43 more characters."),
        ("parley_" + "x" * 43, "This API token is unknown; check that it was copied whole."),
    ],
    ids=["no token", "unknown"],
)
async def test_a_wrong_token_is_told_plainly(page: Page, pasted: str, said: str) -> None:
    await page.goto("/")
    await page.get_by_label("API token").fill(pasted)
    await page.get_by_role("button", name="Start").click()
    await expect(page.get_by_text(said)).to_be_visible()
    await expect(page.get_by_label("API token")).to_have_value(pasted)


async def test_a_token_pasted_with_spaces_and_a_scheme_is_understood(page: Page, service: Service) -> None:
    await sign_in(page, service, secret=f"  Bearer {service.secret[:20]} {service.secret[20:]}  ")
    await expect(page.get_by_text("1,000 of 1,000 calls left today")).to_be_visible()


async def test_a_reply_streams_is_counted_and_is_still_there_after_a_reload(page: Page, service: Service) -> None:
    await sign_in(page, service)
    await say(page, "Count from 1 to 10.")
    assert "9, 10" in await replied(page)
    await expect(page.get_by_role("status")).to_contain_text("LLM tokens")
    await expect(page.get_by_text("999 of 1,000 calls left today")).to_be_visible()
    await page.reload()
    assert "9, 10" in await replied(page)
    assert await service.calls_used() == 1


async def test_a_reply_can_be_stopped_and_what_came_is_kept(
    page: Page, service: Service, engine: ScriptedEngine
) -> None:
    await sign_in(page, service)
    engine.may_go_on.clear()
    engine.pieces_before_pause = 2
    await say(page, "Tell me a story.")
    await expect(page.locator(".message.assistant .text")).not_to_be_empty()
    await page.get_by_role("button", name="Stop").click()
    assert await replied(page)
    await expect(page.locator(".message.assistant .note")).to_have_text("Stopped.")
    engine.pieces_before_pause = 0
    await say(page, "And now?")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("status")).to_have_text("Stopped.")
    engine.may_go_on.set()


async def test_a_message_is_edited_and_sent_again_and_a_reply_made_anew(page: Page, service: Service) -> None:
    await sign_in(page, service)
    await say(page, "Count from 1 to 5.")
    assert "5" in await replied(page)
    await page.get_by_role("button", name="Edit message 1").click()
    await page.get_by_label("Your message").fill("Count from 1 to 10.")
    await page.get_by_role("button", name="Send again").click()
    await expect(page.locator(".message.assistant .text")).to_contain_text("9, 10")
    await replied(page)
    await page.get_by_role("button", name="Regenerate").click()
    assert "9, 10" in await replied(page)
    assert await service.calls_used() == 3


async def test_the_engine_dying_in_the_middle_loses_nothing_and_says_so(
    page: Page, service: Service, engine: ScriptedEngine
) -> None:
    await sign_in(page, service)
    engine.pieces_before_failure = 1
    await say(page, "Count from 1 to 10.")
    await expect(page.locator(".message .problem")).to_contain_text("The reply broke off: The model is not available")
    await expect(page.locator(".message.assistant .text")).not_to_be_empty()
    engine.pieces_before_failure = None
    await page.get_by_role("button", name="Regenerate").click()
    await expect(page.locator(".message .problem:visible")).to_have_count(0)
    assert "9, 10" in await replied(page)


async def test_an_engine_killed_in_the_middle_is_back_for_the_next_try(browser: Browser, tmp_path: Path) -> None:
    async with own_engine() as (engine, child), running_service(engine, tmp_path) as service:
        engine.may_go_on.clear()
        engine.pieces_before_pause = 2
        async with visiting(browser, service.url) as page:
            await sign_in(page, service)
            for name, value in ENDLESS.items():
                await set_option(page, name, value)
            await say(page, "Tell me a story.")
            await expect(page.locator(".message.assistant .text")).not_to_be_empty()
            child.kill()
            engine.may_go_on.set()
            await expect(page.locator(".message .problem")).to_contain_text("The reply broke off: The model is not")
            await set_option(page, "num_predict", "5")
            await page.get_by_role("button", name="Regenerate").click()
            await expect(page.locator(".message .problem")).to_have_count(0)
            assert await replied(page)
        assert await service.calls_used() == 1


async def test_an_engine_that_is_gone_gives_the_words_back(
    page: Page, service: Service, engine: ScriptedEngine
) -> None:
    await sign_in(page, service)
    engine.pieces_before_failure = 0
    await say(page, "Count from 1 to 10.")
    await expect(page.get_by_role("alert").filter(has_text="The model is not available right now")).to_be_visible()
    await expect(page.get_by_label("Message", exact=True)).to_have_value("Count from 1 to 10.")


async def test_an_allowance_that_runs_out_says_until_when(page: Page, service: Service) -> None:
    issued = await service.tokens.create("small", daily_calls=1)
    await sign_in(page, service, secret=issued.secret)
    await say(page, "Hello!")
    await replied(page)
    await expect(page.get_by_text("0 of 1 call left today; the next day starts")).to_be_visible()
    await say(page, "Hello again!")
    await expect(page.get_by_role("alert").filter(has_text="All 1 calls of today are used")).to_be_visible()
    await expect(page.get_by_label("Message", exact=True)).to_have_value("Hello again!")


async def test_a_token_that_is_revoked_meanwhile_is_asked_for_again(page: Page, service: Service) -> None:
    await sign_in(page, service)
    await service.tokens.revoke(service.token.id)
    await say(page, "Hello!")
    await expect(page.get_by_label("API token")).to_be_visible()
    await expect(page.get_by_text("This API token was revoked or rotated; ask for a new one.").first).to_be_visible()


async def test_the_cost_is_told_before_sending_and_what_was_dropped_after(page: Page, service: Service) -> None:
    await sign_in(page, service)
    for number in (1, 2, 3):
        await say(page, f"Count from {number} to 20.")
        await replied(page, number)
    await page.get_by_label("Message", exact=True).fill("Hello!")
    await expect(page.locator("#cost")).to_have_text(re.compile(r"^\d+ LLM tokens before the reply\.$"))
    await set_option(page, "num_ctx", "96")
    await set_option(page, "num_predict", "20")
    await expect(page.locator("#cost")).to_contain_text("oldest messages will not fit")
    await page.get_by_label("Message", exact=True).press("Enter")
    await expect(page.locator(".message .note").last).to_contain_text("left out of what the model read")


async def test_a_message_of_a_mebibyte_is_refused_before_it_is_sent_and_kept(page: Page, service: Service) -> None:
    await sign_in(page, service)
    text = "word " * (2**20 // 5 + 1)
    await say(page, text)
    await expect(page.get_by_role("alert").filter(has_text="This is too large: 1.0 MiB")).to_be_visible()
    assert len(await page.get_by_label("Message", exact=True).input_value()) == len(text)
    assert await service.calls_used() == 0
