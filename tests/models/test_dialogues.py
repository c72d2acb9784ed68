"""The generator of dialogues: repeatable, and never showing what is held out."""

import json
import re
from collections.abc import Iterator

import pytest

from models import heldout
from models.dialogues import Dialogue, dialogue
from models.draw import Draw, in_held_out_class, number_held_out, with_article
from models.scene import DEFAULT_SYSTEM

SAMPLE = 3_000
EXCHANGES = 12
WORD = re.compile(r"[A-Za-z]+")
NUMBER = re.compile(r"\d+")


def texts(made: Dialogue) -> Iterator[str]:
    for message in made.messages():
        yield message["content"]


@pytest.fixture(scope="module")
def sample() -> list[Dialogue]:
    return [dialogue(f"test {number}", EXCHANGES) for number in range(SAMPLE)]


@pytest.fixture(scope="module")
def held_out() -> list[heldout.HeldOut]:
    return heldout.read()


def test_a_seed_gives_one_dialogue() -> None:
    assert dialogue("a seed", 20) == dialogue("a seed", 20)
    assert dialogue("a seed", 20) != dialogue("another seed", 20)


def test_every_placeholder_is_filled(sample: list[Dialogue]) -> None:
    left = re.compile(r"\{\w*\}")
    assert [text for made in sample for text in texts(made) if left.search(text)] == []


def test_no_held_out_number_is_shown(sample: list[Dialogue]) -> None:
    shown = {int(digits) for made in sample for text in texts(made) for digits in NUMBER.findall(text)}
    assert len(shown) > 1_000
    assert [number for number in shown if number_held_out(number)] == []


def test_no_held_out_name_is_shown(sample: list[Dialogue], held_out: list[heldout.HeldOut]) -> None:
    shown = {word.lower() for made in sample for text in texts(made) for word in WORD.findall(text)}
    names = {name for one in held_out for name in invented(one)}
    assert len(names) > 50
    assert names & shown == set()


NAMED = re.compile(r"(?:Nice to meet you|is called|My name is|Your name is),? ([A-Za-z]+)")


def invented(one: heldout.HeldOut) -> Iterator[str]:
    """Give the names told and asked for in a held-out dialogue, in lower case."""
    for message in one.messages:
        yield from (name.lower() for name in NAMED.findall(message["content"]) if in_held_out_class(name))


def test_values_told_in_held_out_dialogues_belong_to_the_class(held_out: list[heldout.HeldOut]) -> None:
    names = re.compile(r"^(?:My name is|Your \w+ is called) ([A-Za-z]+)\.$")
    found = [match[1] for one in held_out if (match := names.match(one.expected)) and match[1] != "Parley"]
    assert found
    assert [name for name in found if not in_held_out_class(name)] == []


def test_replies_are_in_plain_words(sample: list[Dialogue]) -> None:
    for made in sample:
        for exchange in made.exchanges:
            assert exchange.reply == exchange.reply.strip()
            assert exchange.reply
            if exchange.kind == "json":
                assert isinstance(json.loads(exchange.reply), dict)


def test_the_forms_conversations_come_in(sample: list[Dialogue]) -> None:
    systems = [made.system for made in sample]
    assert systems.count(None) > SAMPLE * 0.1
    assert systems.count(DEFAULT_SYSTEM) > SAMPLE * 0.1
    tagged = [made for made in sample if all(re.match(r"\S+: ", exchange.user) for exchange in made.exchanges)]
    assert 0.2 < len(tagged) / SAMPLE < 0.4


@pytest.mark.parametrize("held", [False, True])
def test_drawn_names_and_words_keep_to_their_class(held: bool) -> None:
    draw = Draw("names", held_out=held)
    drawn = [*(draw.name() for _ in range(300)), *(draw.invented() for _ in range(300))]
    assert {in_held_out_class(word) for word in drawn} == {held}


def test_sums_are_right(sample: list[Dialogue]) -> None:
    sums = re.compile(r"^(\d+) ([+-]) (\d+) = (-?\d+)$")
    found = [match for made in sample for exchange in made.exchanges if (match := sums.match(exchange.reply))]
    assert len(found) > SAMPLE
    for first, sign, second, result in (match.groups() for match in found):
        assert int(result) == (int(first) + int(second) if sign == "+" else int(first) - int(second))


@pytest.mark.parametrize(
    ("noun", "expected"),
    [("owl", "an owl"), ("cat", "a cat"), ("honest cat", "an honest cat"), ("unicorn", "a unicorn")],
)
def test_articles(noun: str, expected: str) -> None:
    assert with_article(noun) == expected
