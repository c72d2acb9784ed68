"""The bot's own words follow the person: commands, suggestions, buttons, forms, messages, and waiting in line."""

from pathlib import Path
from typing import Any

import pytest

from bot import language
from bot.buttons import STOP
from bot.language import speaking
from bot.texts import confirming, conversations, personas, privacy, replies
from tests.bot.conftest import StartBot
from tests.bot.scripted_api import ScriptedApi, Stream
from tests.bot.small_catalogues import Translation, write_catalogues
from tests.doubles.discord_model import MANAGE_MESSAGES, MEMBER_PERMISSIONS
from tests.doubles.discord_server import DiscordServer


@pytest.fixture(autouse=True)
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have German for a few sentences: the English with a mark."""
    sentences = [
        conversations.hello(),
        confirming.nothing_changed(),
        confirming.question_closed(),
        personas.form_title(),
        personas.unreadable_persona(),
        privacy.forget_everywhere_question(),
        privacy.forget_no(),
        replies.not_yours(),
        replies.stop_button(),
        "You need the permission {permission} for this.",
        "Manage Messages",
        "{role}: {calls}",
        "{place} in line",
        "{place} in line, about {wait}",
    ]
    translations: Translation = {(None, each): f"DE {each}" if "{" in each else _german(each) for each in sentences}
    monkeypatch.setattr(language, "CATALOGUES", write_catalogues(tmp_path / "locales", de=translations))


def _german(sentence: str) -> str:
    """Return a translation that is short enough for a form's title."""
    return f"DE {sentence}"[:45].strip()


async def test_a_command_is_answered_in_the_language_of_who_used_it(server: DiscordServer, start_bot: StartBot) -> None:
    channel = server.channel(server.guild(locale="fr"))
    await start_bot()
    for locale, sentence in (
        ("de", _german(conversations.hello())),
        ("en-US", conversations.hello()),
        ("nl", conversations.hello()),
    ):
        asked = await server.slash(server.user(locale, locale=locale), channel, "chat", message=" \x00 ")
        assert await asked.replied() == [sentence]


async def test_a_refusal_names_the_permission_as_the_persons_discord_does(
    server: DiscordServer, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada", locale="de")
    await start_bot()
    refused = await server.slash(ada, channel, "reset")
    assert await refused.replied() == ["DE You need the permission DE Manage Messages for this."]


async def test_suggestions_are_in_the_language_of_who_types(server: DiscordServer, start_bot: StartBot) -> None:
    guild, admin = server.guild(), server.admin()
    admin.locale = "de"
    channel, role = server.channel(guild), server.role(guild, "Crew")
    await start_bot()
    await (await server.slash(admin, channel, "developer limit set", calls=1, role=role)).replied()
    (suggested,) = await server.suggestions(admin, channel, "developer limit clear", "role", "")
    assert suggested["name"] == "DE Crew: 1 call"


async def test_a_reply_has_its_buttons_in_the_askers_language_and_a_press_is_answered_in_the_pressers(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    ada, bob = server.user("Ada", locale="de"), server.user("Bob", locale="en-GB")
    guild = server.guild()
    await start_bot()
    for asker, presser in ((ada, bob), (bob, ada)):
        api.script.append(Stream(pieces=["Once upon"], hold_after=1))
        asked = await server.slash(asker, server.channel(guild), "chat", message="hello")
        await asked.replied()
        label, sentence = replies.stop_button(), replies.not_yours()
        assert list(asked.replies[0].buttons) == [_german(label) if asker is ada else label]
        pressed = await server.press(presser, asked.replies[0], STOP)
        assert await pressed.replied() == [_german(sentence) if presser is ada else sentence]
        api.release()


async def test_a_question_with_buttons_its_answer_and_what_comes_too_late_are_in_the_persons_language(
    server: DiscordServer, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada", locale="de")
    await start_bot()
    asked = await server.slash(ada, channel, "forget", where="everywhere")
    assert await asked.replied() == [_german(privacy.forget_everywhere_question())]
    no = asked.replies[0].custom_id(_german(privacy.forget_no()))
    await server.press(ada, asked.replies[0], no)
    await server.changes.until(
        lambda: asked.replies[0].content == _german(confirming.nothing_changed()), "the question is answered"
    )
    late = await server.press(ada, asked.replies[0], no, forged=True)
    assert await late.replied() == [_german(confirming.question_closed())]


async def test_a_form_and_its_refusal_are_in_the_persons_language(server: DiscordServer, start_bot: StartBot) -> None:
    channel, admin = server.channel(server.guild()), server.admin()
    admin.locale = "de"
    await start_bot()
    opened = await server.slash(admin, channel, "persona set")
    assert (await opened.form())["title"] == _german(personas.form_title())
    sent = await server.submit(admin, opened, {"persona": " \u200b ", "name": ""})
    assert await sent.replied() == [_german(personas.unreadable_persona())]


async def test_a_message_is_answered_in_the_language_of_the_persons_last_command_else_of_the_server(
    server: DiscordServer, start_bot: StartBot
) -> None:
    english, german = server.guild(), server.guild(locale="de")
    ada, bob = server.user("Ada", locale="de"), server.user("Bob", locale="en-US")
    here, there = server.channel(english), server.channel(german)
    await start_bot()
    hello: dict[bool, str] = {False: conversations.hello(), True: _german(conversations.hello())}
    await server.user_says(here, ada, "", mentions_bot=True)
    assert await server.posted(here) == [hello[False]]
    await server.user_says(there, bob, "", mentions_bot=True)
    assert await server.posted(there) == [hello[True]]
    for person in (ada, bob):
        await (await server.slash(person, here, "help")).replied()
    await server.user_says(here, ada, "", mentions_bot=True)
    assert (await server.posted(here, 2))[1] == hello[True]
    await server.user_says(there, bob, "", mentions_bot=True)
    assert (await server.posted(there, 2))[1] == hello[False]


async def test_a_dm_with_somebody_unknown_is_in_english_until_they_use_a_command(
    server: DiscordServer, start_bot: StartBot
) -> None:
    ada = server.user("Ada", locale="de")
    dm = server.dm(ada)
    await start_bot()
    await server.user_says(dm, ada, "")
    assert await server.posted(dm) == [conversations.hello()]
    await (await server.slash(ada, dm, "help")).replied()
    await server.user_says(dm, ada, "")
    assert (await server.posted(dm, 2))[1] == _german(conversations.hello())


async def test_who_waits_is_told_the_place_in_their_own_language_though_others_move_the_line(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel = server.channel(server.guild())
    moderator = server.user("Mo", permissions=MEMBER_PERMISSIONS | MANAGE_MESSAGES, locale="en-US")
    ada = server.user("Ada", locale="de")
    await start_bot()
    api.script.extend([Stream(pieces=["one"], hold_after=1), Stream(pieces=["two"], hold_after=1), "three"])
    first = await server.slash(moderator, channel, "chat", message="first")
    await api.held()
    second = await server.slash(moderator, channel, "chat", message="second")
    third = await server.slash(ada, channel, "chat", message="third")
    await server.changes.until(lambda: bool(third.replies), "the third is told its place")
    with speaking("de"):
        waiting: Any = {replies.in_line(position=place, wait_seconds=None) for place in (1, 2)}
    assert third.replies[0].content in waiting
    api.release()
    await first.replied()
    await api.held()
    await server.changes.until(
        lambda: third.replies[0].content.startswith("DE 1. in line"), "the third has moved on, in German"
    )
    api.release()
    await second.replied()
    await server.changes.until(lambda: third.replies[0].content == "three", "the third is answered")
