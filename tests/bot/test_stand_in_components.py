"""Buttons, menus and forms of the stand-in Discord, tried with raw requests."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.doubles.discord_basics import INTERACTION_ANSWER_SECONDS
from tests.doubles.discord_component_limits import check_components, check_form
from tests.doubles.discord_model import Json, Message
from tests.doubles.discord_probe import Probe

MESSAGE, THINKING, LATER, UPDATE, FORM = 4, 5, 6, 7, 9


def button(custom_id: str = "go", **more: Any) -> Json:
    return {"type": 2, "style": 1, "label": "Go", "custom_id": custom_id, **more}


def row(*components: Json) -> Json:
    return {"type": 1, "components": list(components)}


def menu(**more: Any) -> Json:
    return {"type": 3, "custom_id": "pick", "options": [{"label": "One", "value": "1"}], **more}


def text_input(**more: Any) -> Json:
    return {"type": 4, "custom_id": "why", "style": 1, "label": "Why?", **more}


def form(*components: Json, **more: Any) -> Json:
    return {"custom_id": "form", "title": "A form", "components": list(components), **more}


def label(component: Json, **more: Any) -> Json:
    return {"type": 18, "label": "Why?", "component": component, **more}


@pytest.fixture
async def probe() -> AsyncIterator[Probe]:
    async with Probe() as running:
        yield running


@pytest.fixture
async def message(probe: Probe) -> Message:
    """Let a bot that listens post a message with a button."""
    channel = probe.server.channel(probe.server.guild())
    await probe.listen()
    await probe.say(channel, content="hello", components=[row(button())])
    return channel.messages[0]


async def test_components_stay_until_they_are_replaced(probe: Probe, message: Message) -> None:
    path = f"/channels/{message.channel.id}/messages/{message.id}"
    assert (await probe.ask("PATCH", path, {"content": "edited"})).body["components"] == message.components != []
    assert (await probe.ask("PATCH", path, {"components": [row(button("other"))]})).status == 200
    assert (message.content, message.custom_id("Go")) == ("edited", "other")
    assert (await probe.ask("PATCH", path, {"components": []})).body["components"] == []


async def test_a_press_carries_the_message_and_who_pressed(probe: Probe, message: Message) -> None:
    ada = probe.server.user("Ada", locale="fr")
    pressed = await probe.server.press(ada, message, "go")
    event = await probe.hears("INTERACTION_CREATE")
    assert (event["type"], event["locale"], event["member"]["user"]["id"]) == (3, "fr", str(ada.id))
    assert event["data"] == {"id": 2, "component_type": 2, "custom_id": "go"}
    assert event["message"] == message.json()
    assert pressed.message is message
    assert event["message"]["components"] != []


async def test_only_a_forger_presses_what_is_not_there(probe: Probe, message: Message) -> None:
    ada = probe.server.user("Ada")
    with pytest.raises(ValueError, match="no such component"):
        await probe.server.press(ada, message, "forged")
    message.components[0]["components"][0]["disabled"] = True
    with pytest.raises(ValueError, match="disabled"):
        await probe.server.press(ada, message, "go")
    await probe.server.press(ada, message, "forged", forged=True)
    assert (await probe.hears("INTERACTION_CREATE"))["data"]["custom_id"] == "forged"


async def test_a_press_may_change_the_pressed_message_at_once_or_later(probe: Probe, message: Message) -> None:
    ada = probe.server.user("Ada")
    at_once = await probe.server.press(ada, message, "go")
    answered = await probe.answer(at_once, UPDATE, content="changed")
    assert answered.body["resource"] == {"type": 7, "message": message.json()}
    assert message.custom_id("Go") == "go"
    later = await probe.server.press(ada, message, "go")
    await probe.answer(later, LATER)
    assert (await probe.original("PATCH", later, components=[])).status == 200
    assert (message.content, message.components, message.edits) == ("changed", [], 2)
    assert message.versions == ["hello", "changed"]
    assert later.replies == []


async def test_a_press_may_be_answered_with_a_message_and_follow_ups(probe: Probe, message: Message) -> None:
    ada = probe.server.user("Ada")
    pressed = await probe.server.press(ada, message, "go")
    await probe.answer(pressed, MESSAGE, content="for you", flags=64, components=[row(button("inner"))])
    await probe.ask("POST", probe.webhook(pressed), {"content": "for all"}, token=None)
    assert await pressed.replied(2) == ["for you", "for all"]
    assert message.channel.messages == [message, pressed.replies[1]]
    assert pressed.replies[0].reply_to is message
    with pytest.raises(ValueError, match="does not see"):
        await probe.server.press(probe.server.user("Bob"), pressed.replies[0], "inner")
    await probe.server.press(ada, pressed.replies[0], "inner")


@pytest.mark.parametrize("kind", [LATER, UPDATE, 8])
async def test_a_command_cannot_be_answered_like_a_press(probe: Probe, kind: int) -> None:
    channel, ada = probe.server.channel(probe.server.guild()), probe.server.user("Ada")
    await probe.listen()
    await probe.register({"name": "chat", "description": "Talk"})
    used = await probe.server.slash(ada, channel, "chat")
    assert (await probe.answer(used, kind, content="hello", choices=[])).code == 50035
    assert used.answered_at is None
    assert len(probe.server.state.breaches) == 1


async def test_a_press_that_is_never_answered_is_a_breach_unless_the_test_says_so(
    probe: Probe, message: Message
) -> None:
    pressed = await probe.server.press(probe.server.user("Ada"), message, "go")
    pressed.created_at -= INTERACTION_ANSWER_SECONDS + 0.1
    assert probe.server.state.breaches == ["component go was not answered within 3 s"]
    assert (await probe.answer(pressed, LATER)).code == 10062
    pressed.may_stay_unanswered = True
    assert probe.server.state.breaches == []


async def test_a_second_first_answer_and_an_early_follow_up_are_breaches(probe: Probe, message: Message) -> None:
    pressed = await probe.server.press(probe.server.user("Ada"), message, "go")
    follow_up = await probe.ask("POST", probe.webhook(pressed), {"content": "early"}, token=None)
    assert follow_up.code == 10015
    assert (await probe.answer(pressed, LATER)).status == 200
    assert (await probe.answer(pressed, LATER)).code == 40060
    assert len(probe.server.state.breaches) == 2


@pytest.mark.parametrize("is_label", [False, True])
async def test_a_form_is_shown_filled_in_and_sent(probe: Probe, message: Message, *, is_label: bool) -> None:
    ada, field = probe.server.user("Ada"), text_input(value="before")
    if is_label:
        del field["label"]
    pressed = await probe.server.press(ada, message, "go")
    part = label(field) if is_label else row(field)
    assert (await probe.answer(pressed, FORM, **form(part, {"type": 10, "content": "Please"}))).status == 200
    assert (await pressed.form())["title"] == "A form"
    await probe.hears("INTERACTION_CREATE")
    sent = await probe.server.submit(ada, pressed, {"why": "because"})
    event = await probe.hears("INTERACTION_CREATE")
    inner = {"type": 4, "id": 2, "custom_id": "why", "value": "because"}
    holder = {"type": 18, "id": 1, "component": inner} if is_label else {"type": 1, "id": 1, "components": [inner]}
    assert event["data"] == {"custom_id": "form", "components": [holder, {"type": 10, "id": 3}]}
    assert event["message"]["id"] == str(message.id)
    assert (await probe.answer(sent, UPDATE, content="thanks")).status == 200
    assert message.content == "thanks"


async def test_what_is_left_alone_in_a_form_is_sent_as_it_was(probe: Probe, message: Message) -> None:
    pressed = await probe.server.press(probe.server.user("Ada"), message, "go")
    await probe.answer(pressed, FORM, **form(row(text_input(value="before"))))
    await probe.hears("INTERACTION_CREATE")
    await probe.server.submit(pressed.user, pressed, {})
    components = (await probe.hears("INTERACTION_CREATE"))["data"]["components"]
    assert components[0]["components"][0]["value"] == "before"


async def test_a_form_cannot_be_answered_with_a_form(probe: Probe, message: Message) -> None:
    pressed = await probe.server.press(probe.server.user("Ada"), message, "go")
    await probe.answer(pressed, FORM, **form(row(text_input(required=False))))
    sent = await probe.server.submit(pressed.user, pressed, {})
    assert (await probe.answer(sent, FORM, **form(row(text_input())))).code == 50035


async def test_only_a_forger_sends_a_form_that_breaks_its_own_rules(probe: Probe, message: Message) -> None:
    ada = probe.server.user("Ada")
    pressed = await probe.server.press(ada, message, "go")
    with pytest.raises(ValueError, match="not answered with a form"):
        await probe.server.submit(ada, pressed, {})
    await probe.answer(pressed, FORM, **form(row(text_input(max_length=5))))
    for entries in ({}, {"why": "too long"}, {"stranger": "x"}):
        with pytest.raises(ValueError, match=r"why|stranger"):
            await probe.server.submit(ada, pressed, entries)
    await probe.hears("INTERACTION_CREATE")
    await probe.server.submit(probe.server.user("Bob"), pressed, {"why": "x" * 9}, custom_id="forged", forged=True)
    event = await probe.hears("INTERACTION_CREATE")
    assert event["data"]["custom_id"] == "forged"
    assert event["data"]["components"][0]["components"][0]["value"] == "x" * 9


async def test_menus_send_values_or_the_things_themselves(probe: Probe, message: Message) -> None:
    server, channel, ada = probe.server, message.channel, probe.server.user("Ada")
    assert channel.guild is not None
    role = server.role(channel.guild, "Testers")
    people = {"type": 5, "custom_id": "who"}
    roles = {"type": 6, "custom_id": "role"}
    await probe.say(channel, content="pick", components=[row(menu()), row(people), row(roles)])
    there = channel.messages[-1]
    await server.select(ada, there, "pick", ["1"])
    assert (await probe.hears("INTERACTION_CREATE"))["data"]["values"] == ["1"]
    await server.select(ada, there, "who", [ada])
    data = (await probe.hears("INTERACTION_CREATE"))["data"]
    assert (data["component_type"], data["values"], list(data["resolved"]["users"])) == (
        5,
        [str(ada.id)],
        [str(ada.id)],
    )
    await server.select(ada, there, "role", [role])
    assert (await probe.hears("INTERACTION_CREATE"))["data"]["resolved"]["roles"][str(role.id)]["name"] == "Testers"
    for values in ([], ["2"], ["1", "1"]):
        with pytest.raises(ValueError, match=r"value|offer"):
            await server.select(ada, there, "pick", values)


async def test_a_message_with_components_that_discord_refuses_is_a_breach(probe: Probe, message: Message) -> None:
    assert (await probe.say(message.channel, content="x", components=[row(button("a" * 101))])).code == 50035
    assert len(probe.server.state.breaches) == 1


@pytest.mark.parametrize(
    "components",
    [
        [],
        [row(button(str(number), label="x" * 80)) for number in range(5)],
        [row(*(button(str(number)) for number in range(5)))],
        [row({"type": 2, "style": 5, "label": "There", "url": "https://example.org"})],
        [row(button("a" * 100, label="", emoji={"name": "⏹"}))],
        [row(menu(options=[{"label": str(n), "value": str(n)} for n in range(25)], placeholder="p" * 150))],
    ],
)
def test_components_that_discord_takes_are_taken(components: list[Json]) -> None:
    assert check_components(components) == []


@pytest.mark.parametrize(
    "components",
    [
        [row(button(str(number))) for number in range(6)],
        [row(*(button(str(number)) for number in range(6)))],
        [row()],
        [button()],
        [row(button(), menu())],
        [row(button("")), row(button())],
        [row(button()), row(button())],
        [row(button(label="x" * 81))],
        [row(button(label=""))],
        [row({"type": 2, "style": 1, "label": "no id"})],
        [row({"type": 2, "style": 5, "label": "There", "url": "https://example.org", "custom_id": "x"})],
        [row(menu(options=[]))],
        [row(menu(options=[{"label": str(n), "value": str(n)} for n in range(26)]))],
        [row(menu(options=[{"label": "a", "value": "1"}, {"label": "b", "value": "1"}]))],
        [row(menu(options=[{"label": "l" * 101, "value": "1"}]))],
        [row(menu(placeholder="p" * 151))],
        [row(menu(max_values=26))],
    ],
)
def test_components_that_discord_refuses_are_found(components: list[Json]) -> None:
    assert check_components(components)


def test_components_of_the_second_kind_are_counted_with_everything_they_hold() -> None:
    texts = [{"type": 10, "content": "x" * 100} for _ in range(39)]
    assert check_components([{"type": 17, "components": texts}], is_v2=True) == []
    assert check_components([{"type": 17, "components": [*texts, *texts[:1]]}], is_v2=True)
    assert check_components([{"type": 10, "content": "x" * 4001}], is_v2=True)


@pytest.mark.parametrize(
    "shown",
    [
        form(row(text_input(max_length=4000, value="v" * 4000, placeholder="p" * 100)), title="t" * 45),
        form(*(label(text_input(custom_id=str(number))) for number in range(5))),
        form(label(menu()), {"type": 10, "content": "text"}),
    ],
)
def test_forms_that_discord_takes_are_taken(shown: Json) -> None:
    assert check_form(shown) == []


@pytest.mark.parametrize(
    "shown",
    [
        form(),
        form(*(row(text_input(custom_id=str(number))) for number in range(6))),
        form(row(text_input()), title="t" * 46),
        form(row(text_input()), title=""),
        form(row(text_input()), custom_id=""),
        form(row(text_input()), custom_id="c" * 101),
        form(row(text_input()), row(text_input())),
        form(row(text_input(label="l" * 46))),
        form(row(text_input(placeholder="p" * 101))),
        form(row(text_input(value="v" * 4001))),
        form(row(text_input(value="12345", max_length=4))),
        form(row(text_input(max_length=4001))),
        form(row(text_input(min_length=5, max_length=4))),
        form(row(text_input(style=3))),
        form(row(button())),
        form(label(text_input(), label="l" * 46)),
        form(label(text_input(), description="d" * 101)),
    ],
)
def test_forms_that_discord_refuses_are_found(shown: Json) -> None:
    assert check_form(shown)
