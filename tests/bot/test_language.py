"""The languages: which one a task speaks, counts and numbers in each, catalogues that lack something."""

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from bot import language
from bot.lanes import Lanes
from bot.language import DISCORD_LOCALES, LANGUAGES, number, ordinal, speak, speaking, spoken_language, tr, tr_count
from tests.bot.small_catalogues import write_catalogues

_GERMAN = """msgid ""
msgstr ""
"Language: de\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

msgid "{count} call"
msgid_plural "{count} calls"
msgstr[0] "{count} Aufruf"
msgstr[1] "{count} Aufrufe"

msgid "{count} message"
msgid_plural "{count} messages"
msgstr[0] ""
msgstr[1] ""

msgid "Stop"
msgstr ""

#, fuzzy
msgid "Continue"
msgstr "Vielleicht weiter"
"""


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_catalogues(tmp_path / "locales")
    (folder / "de.po").write_text(_GERMAN, "utf-8")
    monkeypatch.setattr(language, "CATALOGUES", folder)
    speak("de")


def test_every_language_but_english_is_one_of_discords() -> None:
    assert {"en", *DISCORD_LOCALES.values()} == set(LANGUAGES)


@pytest.mark.parametrize("locale", [None, "en-US", "en-GB", "nl", "", "xx", "de-DE", "pt_BR"])
def test_whoever_speaks_something_else_is_spoken_to_in_english(locale: str | None) -> None:
    speak("de")
    speak(locale)
    assert spoken_language() == "en"


def test_both_kinds_of_spanish_are_one_language() -> None:
    speak("es-ES")
    assert spoken_language() == "es"
    speak("es-419")
    assert spoken_language() == "es"


async def test_a_task_speaks_its_own_language_and_that_of_who_started_it() -> None:
    async def started() -> str:
        return spoken_language()

    async def handler(locale: str) -> tuple[str, str]:
        speak(locale)
        await asyncio.sleep(0)
        return spoken_language(), await asyncio.create_task(started())

    speak("fr")
    german, japanese = await asyncio.gather(handler("de"), handler("ja"))
    assert (german, japanese) == (("de", "de"), ("ja", "ja"))
    assert spoken_language() == "fr"


def test_another_language_is_spoken_for_a_block_only() -> None:
    speak("fr")
    with contextlib.suppress(ValueError), speaking("ja"):
        assert spoken_language() == "ja"
        raise ValueError
    assert spoken_language() == "fr"


async def test_who_waits_in_line_is_told_in_their_own_language_whoever_leaves() -> None:
    lanes, told = Lanes(), list[tuple[int, str]]()

    async def stand(locale: str, *, is_done: asyncio.Event) -> None:
        speak(locale)
        with lanes.place("channel:1", on_move=lambda position: told.append((position, spoken_language()))) as place:
            async with place.turn():
                await is_done.wait()

    done = [asyncio.Event(), asyncio.Event(), asyncio.Event()]
    tasks = [
        asyncio.create_task(stand(locale, is_done=each)) for locale, each in zip(("de", "fr", "ja"), done, strict=True)
    ]
    await asyncio.sleep(0)
    for each in done:
        each.set()
    await asyncio.gather(*tasks)
    assert told == [(1, "fr"), (2, "ja"), (1, "ja")]


@pytest.mark.usefixtures("german")
def test_counts_follow_the_languages_plurals_and_numbers() -> None:
    calls = [tr_count("{count} call", "{count} calls", count) for count in (0, 1, 2, 1000)]
    assert calls == ["0 Aufrufe", "1 Aufruf", "2 Aufrufe", "1.000 Aufrufe"]


@pytest.mark.usefixtures("german")
def test_what_is_not_translated_or_doubtful_stays_english() -> None:
    assert tr("Stop") == "Stop"
    assert tr("Continue") == "Continue"
    assert tr("Nobody has heard of {this}.", this="it") == "Nobody has heard of it."
    assert tr_count("{count} message", "{count} messages", 2) == "2 messages"


@pytest.mark.parametrize(
    ("locale", "written"),
    [
        ("en-US", "12,345"),
        ("de", "12.345"),
        ("fr", "12\u202f345"),
        ("es-ES", "12.345"),
        ("pt-BR", "12.345"),
        ("ja", "12,345"),
    ],
)
def test_numbers_are_written_as_the_language_does(locale: str, written: str) -> None:
    speak(locale)
    assert number(12_345) == written


@pytest.mark.parametrize(
    ("locale", "places"),
    [
        ("en-US", ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]),
        ("de", ["1.", "2.", "3.", "4.", "11.", "12.", "13.", "21.", "102.", "111."]),
        ("fr", ["1er", "2e", "3e", "4e", "11e", "12e", "13e", "21e", "102e", "111e"]),
        ("es-419", ["1.º", "2.º", "3.º", "4.º", "11.º", "12.º", "13.º", "21.º", "102.º", "111.º"]),
        ("pt-BR", ["1º", "2º", "3º", "4º", "11º", "12º", "13º", "21º", "102º", "111º"]),
        ("ja", ["1番目", "2番目", "3番目", "4番目", "11番目", "12番目", "13番目", "21番目", "102番目", "111番目"]),
    ],
)
def test_places_in_line_are_written_as_the_language_does(locale: str, places: list[str]) -> None:
    speak(locale)
    assert [ordinal(place) for place in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)] == places


def test_the_command_line_starts_without_babel() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import sys, parley.cli; print('bot.language' in sys.modules, 'babel' in sys.modules)"],
        capture_output=True,
        check=True,
        text=True,
        timeout=120,
    )
    assert said.stdout.split() == ["True", "False"]
