"""Conversations that the browser keeps, what is sent with them, and the same request as a program."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from api.contract import SamplingFields
from tests.api.scripted_engine import ScriptedEngine
from tests.api.web.chatting import replied, say, set_option, sign_in
from tests.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

NODE = str(Path(sys.executable).with_name("node"))
COMMANDS = {"curl": ["bash"], "Python": [sys.executable, "-"], "JavaScript": [NODE, "--input-type=module", "-"]}


async def test_several_conversations_are_kept_and_one_is_exported_and_deleted(
    page: Page, service: Service, engine: ScriptedEngine, tmp_path: Path
) -> None:
    engine.says = ["Hello", " there."]
    await sign_in(page, service)
    await say(page, "The first one")
    await replied(page)
    await page.get_by_role("button", name="New conversation").click()
    await expect(page.get_by_text("Ask something.")).to_be_visible()
    await page.locator("#persona").fill("You are a pirate.")
    await say(page, "The second one")
    await replied(page)
    assert [message.content for message in engine.heard] == ["You are a pirate.", "The second one"]
    for kind in ("Markdown", "JSON"):
        async with page.expect_download() as download:
            await page.get_by_role("button", name=f"Export as {kind}").click()
        path = tmp_path / kind
        await (await download.value).save_as(path)
        text = path.read_text("utf-8")
        assert all(part in text for part in ("You are a pirate.", "The second one", "Hello there."))
    assert json.loads(text)["messages"][-1] == {"role": "assistant", "content": "Hello there."}
    await page.reload()
    await page.get_by_role("button", name="The first one", exact=True).click()
    await expect(page.locator(".message.user .text")).to_have_text("The first one")
    await expect(page.locator("#persona")).to_have_value("")
    page.once("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    await page.get_by_role("button", name="Delete The first one").click()
    await expect(page.locator(".conversations li")).to_have_count(1)


async def test_two_tabs_keep_each_others_conversations(page: Page, service: Service, engine: ScriptedEngine) -> None:
    engine.says = ["Yes."]
    await sign_in(page, service)
    other = await page.context.new_page()
    await other.goto("/")
    for tab, text in ((page, "From one tab"), (other, "From another tab")):
        await say(tab, text)
        await replied(tab)
    for tab in (page, other):
        await expect(tab.locator(".conversations li")).to_have_count(2)


async def test_every_option_is_in_the_form_and_a_wrong_one_is_told_before_sending(page: Page, service: Service) -> None:
    await sign_in(page, service)
    for name, field in SamplingFields.model_fields.items():
        default = "none" if field.default is None else str(field.default)
        await expect(page.locator(f"#option-{name}")).to_have_attribute("placeholder", default)
        await expect(page.locator(f"#about-{name}")).to_contain_text(field.description or "")
    for name, value, said in (("temperature", "9", "temperature:"), ("format", "{oops", "format needs json")):
        await set_option(page, name, value)
        await say(page, "Hello!")
        await expect(page.get_by_role("alert").filter(has_text=said)).to_be_visible()
        await expect(page.get_by_label("Message", exact=True)).to_have_value("Hello!")
        await page.get_by_role("button", name="Reset all").click()
    assert await service.calls_used() == 0
    await set_option(page, "seed", "7")
    await set_option(page, "stop", "5\nnever")
    await page.get_by_label("Message", exact=True).fill("Count from 1 to 10.")
    await page.keyboard.press("Enter")
    assert "5" not in await replied(page)
    await expect(page.get_by_role("status")).to_contain_text("seed 7")


@pytest.mark.parametrize("language", COMMANDS)
async def test_the_call_on_the_page_works_as_it_stands(page: Page, service: Service, language: str) -> None:
    await sign_in(page, service)
    await set_option(page, "temperature", "0")
    await set_option(page, "stop", 'it\'s\n$HOME `x` "y" \\')
    await page.locator("#persona").fill('It\'s "quoted", \\ and\nnew: ünïcode 🦜 ${HOME} `id`')
    await page.get_by_label("Message", exact=True).fill("Count from 1 to 10.")
    await page.get_by_label(language, exact=True).check()
    program = await page.locator("pre.call").inner_text()
    process = await asyncio.create_subprocess_exec(
        *COMMANDS[language],
        env={**os.environ, "PARLEY_TOKEN": service.secret},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaint = await process.communicate(program.encode())
    assert process.returncode == 0, complaint.decode()
    reply = json.loads(said)["message"]["content"] if language == "curl" else said.decode()
    assert reply.strip()
    assert await service.calls_used() == 1
