"""What is wrong with a translation that would break when it is said."""

import pytest

from bot.translating import CHOICE, DESCRIPTION, MENU, NAME
from bot.translation_rules import Text, faults


def _faults(text: Text, *forms: str) -> list[str]:
    return [fault.partition(":")[0] for fault in faults(text, forms)]


_SENTENCE = Text(context=None, one="**{name}** has used {calls}: see `/developer usage`.\n- *Apps*")
_COUNT = Text(context=None, one="The first message is gone.", many="The first {count} messages are gone.")

_PLACES = "has other {places} than the English"
_CODE = "has other `code` than the English"
_MARKUP = "has other Markdown or line breaks than the English"


@pytest.mark.parametrize(
    "good",
    [
        "**{name}** hat {calls} verbraucht: siehe `/developer usage`.\n- *Apps*",
        "{calls} sind es bei **{name}**, siehe *Apps* und `/developer usage`\n- ja",
    ],
)
def test_a_translation_may_put_its_parts_in_another_order(good: str) -> None:
    assert _faults(_SENTENCE, good) == []


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ("**name** hat {calls}: `/developer usage`.\n- *Apps*", _PLACES),
        ("**{Name}** hat {calls}: `/developer usage`.\n- *Apps*", _PLACES),
        ("**{name}** hat {calls:d}: `/developer usage`.\n- *Apps*", _PLACES),
        ("**{name}** hat {calls} von {limit}: `/developer usage`.\n- *Apps*", _PLACES),
        ("**{name}** hat {calls: `/developer usage`.\n- *Apps*", _PLACES),
        ("**{name}** hat {calls}}: `/developer usage`.\n- *Apps*", _PLACES),
        ("**{name}** hat {calls}: `/entwickler nutzung`.\n- *Apps*", _CODE),
        ("**{name}** hat {calls}: /developer usage.\n- *Apps*", _CODE),
        ("{name} hat {calls}: `/developer usage`.\n- *Apps*", _MARKUP),
        ("**{name}** hat {calls}: `/developer usage`.\n- Apps", _MARKUP),
        ("**{name}** hat {calls}: `/developer usage`. *Apps*", _MARKUP),
        (" **{name}** hat {calls}: `/developer usage`.\n- *Apps*", "has blanks at an end"),
        ("", "is not translated"),
    ],
)
def test_a_translation_that_would_break_is_found(bad: str, fault: str) -> None:
    assert fault in _faults(_SENTENCE, bad)


def test_the_form_for_many_must_say_the_number_and_that_for_one_need_not() -> None:
    assert _faults(_COUNT, "Die erste Nachricht ist weg.", "Die ersten {count} Nachrichten sind weg.") == []
    assert _faults(_COUNT, "Le premier des {count} messages", "Les {count} premiers messages") == []
    assert _faults(_COUNT, "最初の{count}件のメッセージは入りません") == []
    assert _faults(_COUNT, "Die erste Nachricht ist weg.", "Die ersten Nachrichten sind weg.") == [_PLACES]
    assert _faults(_COUNT, "最初のメッセージは入りません") == [_PLACES]
    assert _faults(_COUNT, "Die erste Nachricht ist weg.", "") == ["is not translated"]


@pytest.mark.parametrize("context", [NAME, MENU, DESCRIPTION, CHOICE])
def test_what_discord_does_not_take_is_found(context: str) -> None:
    text = Text(context=context, one="help")
    assert _faults(text, "hilfe") == []
    assert _faults(text, "x" * 101) == [f"is not taken by Discord as a {context}"]
