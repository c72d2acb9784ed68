"""The catalogues: the tool that keeps them, and whether the translators' work is complete and fits Discord."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.catalogues import TRANSLATED, combine, find_all, find_said, problems, update
from bot.client import ParleyBot
from bot.config import BotConfig, BotStores
from bot.language import CATALOGUES, DISCORD_LOCALES, speaking, tr_command
from bot.texts import confirming, conversations, personas, presence, privacy, replies, tokens
from bot.translating import CHOICE, DESCRIPTION, MENU, NAME, CommandTranslator, texts_of
from bot.translation_rules import Text
from tests.doubles.discord_limits import check_commands

BUTTONS: tuple[Callable[[], str], ...] = (
    confirming.keep_button,
    privacy.forget_yes,
    privacy.forget_no,
    replies.stop_button,
    replies.regenerate_button,
    replies.continue_button,
    tokens.revoke_button,
    tokens.rotate_button,
)
FORM_TITLES_AND_LABELS: tuple[Callable[[], str], ...] = (
    conversations.ask_about_title,
    conversations.ask_about_label,
    personas.form_title,
    personas.form_text_label,
    personas.form_name_label,
)
FORM_DESCRIPTIONS: tuple[Callable[[], str], ...] = (personas.form_text_description, personas.form_name_description)

_WANTED = [
    Text(context=None, one="Stop", notes=("Name the button that stops a reply.",)),
    Text(context=None, one="{count} call", many="{count} calls", notes=("Count calls.",)),
    Text(context=NAME, one="help", notes=("/help",)),
]
_GERMAN = """msgid ""
msgstr ""
"Language: de\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

#. Name the button that stops a reply.
msgid "Stop"
msgstr ""

#. Count calls.
#, python-brace-format
msgid "{count} call"
msgid_plural "{count} calls"
msgstr[0] ""
msgstr[1] ""

#. /help
msgctxt "command name"
msgid "help"
msgstr ""

"""


def _translated(text: str) -> str:
    return (
        text.replace('msgid "Stop"\nmsgstr ""', '# Like on a tape recorder.\nmsgid "Stop"\nmsgstr "Halt"')
        .replace('msgstr[0] ""', 'msgstr[0] "{count} Aufruf"')
        .replace('msgstr[1] ""', 'msgstr[1] "{count} Aufrufe"')
        .replace('msgid "help"\nmsgstr ""', 'msgid "help"\nmsgstr "hilfe"')
    )


# The tool ------------------------------------------------------------------------------------------------------------


def test_a_catalogue_depends_on_the_texts_alone(tmp_path: Path) -> None:
    update("de", _WANTED, folder=tmp_path)
    assert (tmp_path / "de.po").read_text("utf-8") == _GERMAN
    update("de", _WANTED, folder=tmp_path)
    assert (tmp_path / "de.po").read_text("utf-8") == _GERMAN


@pytest.mark.parametrize(
    ("language", "rule", "forms"),
    [
        ("de", "nplurals=2; plural=(n != 1);", 2),
        ("es", "nplurals=2; plural=(n != 1);", 2),
        ("fr", "nplurals=2; plural=(n > 1);", 2),
        ("pt_BR", "nplurals=2; plural=(n > 1);", 2),
        ("ja", "nplurals=1; plural=0;", 1),
    ],
)
def test_each_language_has_its_own_rule_for_plurals(tmp_path: Path, language: str, rule: str, forms: int) -> None:
    update(language, _WANTED, folder=tmp_path)
    written = (tmp_path / f"{language}.po").read_text("utf-8")
    assert f'"Plural-Forms: {rule}\\n"' in written
    assert written.count("msgstr[") == forms


def test_translations_and_remarks_survive_and_what_is_no_longer_said_goes(tmp_path: Path) -> None:
    update("de", [*_WANTED, Text(context=None, one="Zuletzt", notes=("Gone tomorrow.",))], folder=tmp_path)
    path = tmp_path / "de.po"
    path.write_text(_translated(path.read_text("utf-8")), "utf-8")
    update("de", _WANTED, folder=tmp_path)
    assert _comments_sorted(path.read_text("utf-8")) == _comments_sorted(_translated(_GERMAN))
    assert problems("de", _WANTED, folder=tmp_path) == []


def _comments_sorted(text: str) -> list[list[str]]:
    return [sorted(paragraph.splitlines()) for paragraph in text.split("\n\n")]


def test_what_is_missing_left_over_or_wrong_is_named(tmp_path: Path) -> None:
    path = tmp_path / "de.po"
    wrong = _translated(_GERMAN).replace("{count} Aufrufe", "{zahl} Aufrufe").replace('"hilfe"', '"Hilfe"')
    path.write_text(wrong.replace('msgid "Stop"', 'msgid "Halt"'), "utf-8")
    assert problems("de", _WANTED, folder=tmp_path) == [
        "de: is left over: Halt",
        "de: is missing: Stop",
        "de: has other {places} than the English: {zahl} Aufrufe, for: {count} call",
        "de: is not taken by Discord as a command name: Hilfe, for: help",
    ]


def test_a_doubtful_translation_counts_as_none_and_stays_doubtful(tmp_path: Path) -> None:
    path = tmp_path / "de.po"
    doubtful = _translated(_GERMAN).replace('msgid "Stop"', '#, fuzzy\nmsgid "Stop"')
    path.write_text(doubtful, "utf-8")
    update("de", _WANTED, folder=tmp_path)
    assert '#, fuzzy\nmsgid "Stop"\nmsgstr "Halt"' in path.read_text("utf-8")
    assert problems("de", _WANTED, folder=tmp_path) == ["de: is not translated, for: Stop"]


def test_what_is_said_is_found_with_what_it_is_for(tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text(
        "def stop():\n"
        '    """Name a button.\n\n    At most 80."""\n'
        '    return tr(\n        "Sto"\n        "p"\n    )\n\n\n'
        'def count(number):\n    """Count."""\n    return {0: lambda: tr_count("{count} a", "{count} as", number)}\n',
        "utf-8",
    )
    assert list(find_said(tmp_path)) == [
        Text(context=None, one="Stop", notes=("Name a button.",)),
        Text(context=None, one="{count} a", many="{count} as", notes=("Count.",)),
    ]


@pytest.mark.parametrize(
    "source",
    [
        'def f():\n    return tr(f"{1}")',
        "def f(text):\n    return tr(text)",
        'def f(n):\n    return tr_count("one", n)',
        'WORD = tr("said when the module is imported")',
    ],
)
def test_what_no_translator_could_see_is_refused(tmp_path: Path, source: str) -> None:
    ast.parse(source)
    (tmp_path / "words.py").write_text(source, "utf-8")
    with pytest.raises(ValueError, match=r"words\.py, line"):
        list(find_said(tmp_path))


def test_a_text_said_in_two_places_is_one_with_both_notes_unless_its_plurals_differ() -> None:
    here = Text(context=None, one="a", notes=("here",))
    there = Text(context=None, one="a", notes=("there",))
    elsewhere = Text(context=NAME, one="a", notes=("/a",))
    assert combine([there, elsewhere, here]) == [Text(context=None, one="a", notes=("here", "there")), elsewhere]
    with pytest.raises(ValueError, match="two plurals: a"):
        combine([here, Text(context=None, one="a", many="b")])


async def test_every_kind_of_text_is_found() -> None:
    wanted = {text.key: text for text in await find_all()}
    assert wanted[None, "{count} call"].many == "{count} calls"
    assert wanted[NAME, "show"].notes == ("/developer limit show", "/persona show", "/settings show")
    assert wanted[NAME, "daily_calls"].notes == ("/developer token create daily_calls",)
    assert (DESCRIPTION, "Talk to me in this channel's conversation") in wanted
    assert (CHOICE, "in 1 hour") in wanted
    assert (MENU, conversations.ASK_ABOUT) in wanted
    assert (NAME, "temperature") not in wanted
    assert (CHOICE, "temperature") not in wanted


def test_the_tool_works_from_a_clean_checkout_and_its_check_changes_nothing(tmp_path: Path) -> None:
    source = CATALOGUES.parents[1]
    for package in ("bot", "api", "storage"):
        shutil.copytree(source / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    catalogue = tmp_path / "bot" / "locales" / "de.po"
    catalogue.write_text(_translated(_GERMAN), "utf-8")
    before = catalogue.read_bytes()
    checked = _run_tool(tmp_path, "--check")
    assert checked.returncode == 1
    assert "de: is missing: " in checked.stdout
    assert catalogue.read_bytes() == before
    assert _run_tool(tmp_path).returncode == 0
    updated = catalogue.read_text("utf-8")
    assert 'msgstr "Halt"' in updated
    assert _run_tool(tmp_path).returncode == 0
    assert catalogue.read_text("utf-8") == updated


def _run_tool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bot.catalogues", *arguments],
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )


# The translations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", TRANSLATED)
async def test_a_catalogue_is_complete_and_says_what_the_english_says(language: str) -> None:
    assert problems(language, await find_all()) == []


async def test_discord_takes_the_commands_in_all_languages(config: BotConfig, stores: BotStores) -> None:
    async with ParleyBot(config, stores) as bot:
        await bot.add_all()
        translator = CommandTranslator()
        await bot.tree.set_translator(translator)
        commands = [await each.get_translated_payload(bot.tree, translator) for each in bot.tree.get_commands()]
        assert check_commands(commands) == []


@pytest.mark.parametrize("locale", ["en-US", *DISCORD_LOCALES])
def test_labels_fit_buttons_and_forms(locale: str) -> None:
    """See https://discord.com/developers/docs/components/reference for the limits."""
    with speaking(locale):
        assert [label() for label in BUTTONS if not 1 <= len(label()) <= 80] == []
        assert [label() for label in FORM_TITLES_AND_LABELS if not 1 <= len(label()) <= 45] == []
        assert [text() for text in FORM_DESCRIPTIONS if not 1 <= len(text()) <= 100] == []


def test_every_label_is_measured() -> None:
    measured = {*BUTTONS, *FORM_TITLES_AND_LABELS, *FORM_DESCRIPTIONS}
    named = {
        function
        for module in (confirming, conversations, personas, privacy, replies, tokens)
        for name, function in vars(module).items()
        if name.endswith(("_button", "_yes", "_no", "_label", "_description"))
        or name.startswith(("form_", "ask_about_"))
    }
    assert named - measured == {personas.file_description}


@pytest.mark.parametrize("locale", ["en-US", *DISCORD_LOCALES])
def test_help_and_the_introduction_fit_one_screen(locale: str) -> None:
    with speaking(locale):
        texts = [presence.overview(), f"{presence.introduction()}\n{presence.for_adults()}"]
    assert [text for text in texts if len(text) > 1100 or len(text.splitlines()) > 14] == []


@pytest.mark.parametrize("locale", ["en-US", *DISCORD_LOCALES])
def test_the_menu_has_one_name_wherever_it_is_named(locale: str) -> None:
    with speaking(locale):
        name = tr_command(conversations.ASK_ABOUT, kind=MENU)
        assert conversations.ask_about_title() == name
        assert f"*{name}*" in presence.overview()


@pytest.mark.parametrize("locale", ["en-US", *DISCORD_LOCALES])
async def test_commands_named_in_help_are_there(config: BotConfig, stores: BotStores, locale: str) -> None:
    async with ParleyBot(config, stores) as bot:
        await bot.add_all()
        owners: set[Any] = {owner for command in bot.tree.get_commands() for _, _, owner in texts_of(command)}
    with speaking(locale):
        text = f"{presence.overview()}\n{presence.introduction()}"
    named = {piece for piece in text.split("`") if piece.startswith("/")}
    assert len(named) > 8
    assert named <= owners
