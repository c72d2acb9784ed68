"""Commands in people's languages: what Discord is told, and when it is told again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot import language
from bot.config import BotStores
from bot.sync import NOTE_KEY
from bot.translating import CHOICE, DESCRIPTION, MENU, NAME, is_taken
from tests.bot.conftest import StartBot
from tests.bot.small_catalogues import Translation, write_catalogues
from tests.doubles.discord_limits import check_commands
from tests.doubles.discord_model import Json
from tests.doubles.discord_server import DiscordServer

_PUT = "PUT /applications/{application}/commands"

_SPANISH: Translation = {
    (NAME, "help"): "ayuda",
    (DESCRIPTION, "What I can do, on one screen"): "Lo que sé hacer, en una pantalla",
}
_JAPANESE: Translation = {
    (NAME, "help"): "ヘルプ",
    (NAME, "developer"): "開発者",
    (NAME, "token"): "トークン",
    (NAME, "create"): "作成",
    (NAME, "daily_calls"): "一日の回数",
    (DESCRIPTION, "Calls it may make per day"): "一日に呼び出せる回数",
    (CHOICE, "in 1 hour"): "1時間後",
    (MENU, "Ask about this message"): "このメッセージについて聞く",
    (NAME, "temperature"): "温度",
}


class _Catalogues:
    """The catalogues the bot reads, written anew for each text."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folders: Iterator[Path] = (folder / str(number) for number in range(10))
        self._monkeypatch = monkeypatch

    def put(self, **translations: Translation) -> None:
        """Let these be all translations there are."""
        self._monkeypatch.setattr(language, "CATALOGUES", write_catalogues(next(self._folders), **translations))


@pytest.fixture
def catalogues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Catalogues:
    made = _Catalogues(tmp_path, monkeypatch)
    made.put()
    return made


def _part(commands: list[Json], *path: str) -> Json:
    """Return a command, or what lies below it in the payload."""
    found = next(command for command in commands if command["name"] == path[0])
    return _part(found["options"], *path[1:]) if path[1:] else found


@pytest.mark.parametrize(
    ("name", "is_name"),
    [
        ("hilfe", True),
        ("persönlichkeit", True),
        ("réglages", True),
        ("re\u0301glages", False),
        ("ヘルプ", True),
        ("メッセージ", True),
        ("人々", True),
        ("か\u3099", False),
        ("使い方・例", False),
        ("Hilfe", False),
        ("ÉTAT", False),
        ("straße-2_b", True),
        ("zwei wörter", False),
        ("hilfe!", False),
        ("", False),
        ("x" * 32, True),
        ("x" * 33, False),
    ],
)
def test_names_of_commands_are_lower_case_words_of_any_script(name: str, is_name: bool) -> None:
    assert is_taken(name, NAME) is is_name


@pytest.mark.parametrize(("context", "most"), [(MENU, 32), (DESCRIPTION, 100), (CHOICE, 100)])
def test_other_texts_are_bounded_in_length_only(context: str, most: int) -> None:
    assert is_taken("Ä b!" + "x" * (most - 4), context)
    assert not is_taken("x" * (most + 1), context)
    assert not is_taken("", context)


async def test_discord_is_told_every_part_of_a_command_in_the_languages_that_have_it(
    server: DiscordServer, start_bot: StartBot, catalogues: _Catalogues
) -> None:
    catalogues.put(es=_SPANISH, ja=_JAPANESE)
    await start_bot()
    commands = server.state.commands
    assert check_commands(commands) == []
    told = _part(commands, "help")
    assert told["name_localizations"] == {"es-ES": "ayuda", "es-419": "ayuda", "ja": "ヘルプ"}
    assert told["description_localizations"] == {
        "es-ES": "Lo que sé hacer, en una pantalla",
        "es-419": "Lo que sé hacer, en una pantalla",
    }
    assert _part(commands, "developer", "token", "create")["name_localizations"] == {"ja": "作成"}
    option = _part(commands, "developer", "token", "create", "daily_calls")
    assert option["name_localizations"] == {"ja": "一日の回数"}
    assert option["description_localizations"] == {"ja": "一日に呼び出せる回数"}
    choices = _part(commands, "developer", "token", "rotate", "grace")["choices"]
    assert [choice.get("name_localizations") for choice in choices] == [None, {"ja": "1時間後"}, None, None]
    assert _part(commands, "Ask about this message")["name_localizations"] == {"ja": "このメッセージについて聞く"}


async def test_names_that_belong_to_the_api_are_the_same_in_every_language(
    server: DiscordServer, start_bot: StartBot, catalogues: _Catalogues
) -> None:
    catalogues.put(ja=_JAPANESE)
    await start_bot()
    assert "name_localizations" not in _part(server.state.commands, "settings", "set", "temperature")
    reset = _part(server.state.commands, "settings", "reset", "option")
    assert all("name_localizations" not in choice for choice in reset["choices"])


async def test_a_translation_that_discord_would_not_take_stays_english_and_the_others_are_told(
    server: DiscordServer, start_bot: StartBot, catalogues: _Catalogues
) -> None:
    catalogues.put(
        de={
            (NAME, "help"): "Hilfe bitte",
            (DESCRIPTION, "What I can do, on one screen"): "x" * 101,
            (NAME, "chat"): "gespräch",
        }
    )
    await start_bot()
    assert _part(server.state.commands, "help")["name_localizations"] == {}
    assert _part(server.state.commands, "help")["description_localizations"] == {}
    assert _part(server.state.commands, "chat")["name_localizations"] == {"de": "gespräch"}


async def test_discord_is_told_again_when_a_translation_has_changed_and_only_then(
    server: DiscordServer, start_bot: StartBot, catalogues: _Catalogues
) -> None:
    for translations, times in (({}, 1), ({}, 1), ({"es": _SPANISH}, 2), ({"es": _SPANISH}, 2), ({}, 3)):
        catalogues.put(**translations)
        bot = await start_bot()
        assert server.state.count(_PUT) == times
        await bot.stop()


@pytest.mark.parametrize("is_taken_next_time", [True, False])
async def test_commands_that_discord_did_not_take_are_told_again_at_the_next_start(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, catalogues: _Catalogues, is_taken_next_time: bool
) -> None:
    server.fail_next(_PUT, *[400] * (1 if is_taken_next_time else 2))
    await (await start_bot()).stop()
    assert await stores.notes.get(NOTE_KEY) is None
    await start_bot()
    assert server.state.count(_PUT) == 2
    assert (await stores.notes.get(NOTE_KEY) is not None) is is_taken_next_time
    assert bool(server.state.commands) is is_taken_next_time


async def test_a_name_that_two_neighbours_share_in_one_language_is_a_breach(
    server: DiscordServer, start_bot: StartBot, catalogues: _Catalogues
) -> None:
    """What the test of the real catalogues rests on."""
    catalogues.put(de={(NAME, "clear"): "löschen", (NAME, "delete"): "löschen"})
    await start_bot()
    breaches = list(server.state.noted_breaches)
    server.state.noted_breaches.clear()
    assert "persona: more than one is called ['löschen'] de" in breaches


async def test_a_translated_command_works_by_its_english_name(
    server: DiscordServer, start_bot: StartBot, catalogues: _Catalogues
) -> None:
    """Discord sends the English names back, whatever the person typed."""
    catalogues.put(ja=_JAPANESE)
    channel, admin = server.channel(server.guild()), server.admin()
    admin.locale = "ja"
    await start_bot()
    created = await server.slash(admin, channel, "developer token create", name="app", daily_calls=5)
    assert len(await created.replied()) == 1
