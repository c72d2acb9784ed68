"""Replies of the four generator types are what was asked for, always: a thousand random schemas, lists and data types.

The limit on their length is short and random, so that most are cut off somewhere: what is missing is completed.
"""

import asyncio
import json
import random
import re
import string
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import date, datetime, time
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator, FormatChecker
from yarl import URL

from api.errors import ApiError
from api.modelslab_forms import DATA_TYPES, choose_form
from api.schemas import check_schema
from generation.abilities import CTRANSFORMERS
from generation.constrained import SchemaUnusableError, make_byte_constrainer
from generation.ctransformers_engine import CTransformersEngine
from generation.engine import Engine
from generation.finishing import Finisher
from generation.launch import LocalConfig
from parley.demo_model import DEMO_NAME, demo_path
from tests.service import Service, running_service

SCHEMAS, LISTS, PER_DATA_TYPE = 650, 250, 8
"""With the 22 names of data types more than a thousand."""

SIDE_BY_SIDE = 4

PROMPTS = (
    "Hello!",
    "My lucky number is 58.",
    "Describe yourself as JSON.",
    "grün? 漢字 \U0001f600",
    "What can you do?",
)

_SCALARS = ("string", "integer", "number", "boolean", "null", "enum")
_NESTED = ("object", "object", "array", "anyOf", "const")


@pytest_asyncio.fixture(loop_scope="session")
async def wide_service(demo_engine: Engine, tmp_path: Path) -> AsyncIterator[Service]:
    """A service whose API token may call as often as these tests do."""
    async with running_service(demo_engine, tmp_path, daily_calls=10_000) as running:
        yield running


def random_schema(chance: random.Random, depth: int = 0) -> dict[str, Any]:
    """Make a schema of what people write for replies."""
    kind = chance.choice(_NESTED) if depth == 0 else chance.choice(_SCALARS + (_NESTED if depth < 3 else ()))
    match kind:
        case "string":
            return _random_string(chance)
        case "integer" | "number":
            return _random_number(chance, kind)
        case "boolean" | "null":
            return {"type": kind}
        case "enum":
            return {"enum": chance.sample(["a", "b b", "grün", 1, 2.5, None, ["x"], {"y": 1}], chance.randint(1, 4))}
        case "const":
            return {"const": chance.choice(["yes", 7, {"a": [1, None]}])}
        case "anyOf":
            return {"anyOf": [random_schema(chance, depth + 1) for _ in range(2)]}
        case "array":
            least = chance.randrange(3)
            bounds = {"minItems": least, "maxItems": least + chance.randrange(3)} if chance.random() < 0.7 else {}
            return {"type": "array", "items": random_schema(chance, depth + 1), **bounds}
        case _:
            names = chance.sample(["name", "age", "tags", "é", "a b", "x"], chance.randint(0, 4))
            return {
                "type": "object",
                "properties": {name: random_schema(chance, depth + 1) for name in names},
                "required": [name for name in names if chance.random() < 0.6],
                "additionalProperties": chance.choice([False, False, True]),
            }


def _random_string(chance: random.Random) -> dict[str, Any]:
    least = chance.randrange(5)
    return {
        "type": "string",
        **chance.choice([
            {},
            {"minLength": least, "maxLength": least + chance.randrange(9)},
            {"pattern": chance.choice(["^[a-z]{2,5}$", "^[A-Z][a-z]+ [0-9]{3}$", "^(red|green)$", "^(ab)*c$"])},
            {"format": chance.choice(["date", "date-time", "uuid", "email", "ipv4"])},
        ]),
    }  # fmt: skip


def _random_number(chance: random.Random, kind: str) -> dict[str, Any]:
    least = chance.randrange(-100, 100)
    return {
        "type": kind,
        **chance.choice([{}, {"minimum": least}, {"minimum": least, "maximum": least + 7}, {"exclusiveMinimum": 0}]),
    }


def random_list(chance: random.Random) -> list[Any]:
    letters = string.printable + "äß漢\U0001f600\u202e\x00"
    texts = ["".join(chance.choices(letters, k=chance.randint(1, 30))) for _ in range(chance.randint(1, 12))]
    return chance.choice([texts, ["yes", "no"], [1, 2.5, True], [f"option {number}" for number in range(30)]])


def _as_text(choice: Any) -> str:
    return choice if isinstance(choice, str) else json.dumps(choice)


async def ask(service: Service, chance: random.Random, kind: str, choices: Any) -> str | None:
    """Return the message; None when the choices were refused, which the forms of this file are now and then."""
    body = {
        "key": service.secret,
        "prompt": chance.choice(PROMPTS),
        "generator_type": kind,
        "generator_choices": choices,
        "max_new_tokens": chance.choice([1, 3, 10, 40]),
        "temperature": chance.choice([0.0, 0.3, 2.0]),
        "seed": chance.randrange(2**32),
    }
    status, reply, _ = await service.post("/api/v6/llm/chat", body, headers={})
    if status == 400:
        assert reply["message"].startswith("generator_choices: "), reply
        return None
    assert status == 200, reply
    message = reply["message"]
    assert isinstance(message, str)
    return message


async def run_all(count: int, one: Callable[[int], Any]) -> Counter[str]:
    """Run so many cases, a few side by side; count what came of them."""
    outcomes: Counter[str] = Counter()
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            outcomes[await one(number)] += 1

    await asyncio.gather(*(work() for _ in range(SIDE_BY_SIDE)))
    return outcomes


@pytest.mark.timeout(600)
@pytest.mark.asyncio(loop_scope="session")
async def test_json_always_satisfies_its_schema(wide_service: Service) -> None:
    async def one(number: int) -> str:
        chance = random.Random(number)
        schema = random_schema(chance)
        message = await ask(wide_service, chance, "json", json.dumps(schema) if number % 5 == 0 else schema)
        if message is None:
            return "refused"
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(json.loads(message))
        return "valid"

    outcomes = await run_all(SCHEMAS, one)
    # Refused are those that no reply can satisfy, or that the engine cannot enforce.
    assert outcomes["valid"] >= SCHEMAS * 0.9, outcomes


@pytest.mark.timeout(600)
@pytest.mark.asyncio(loop_scope="session")
async def test_choices_are_exactly_one_of_the_list(wide_service: Service) -> None:
    async def one(number: int) -> str:
        chance = random.Random(number)
        choices = random_list(chance)
        message = await ask(wide_service, chance, "choices", choices)
        assert message in list(map(_as_text, choices))
        return "valid"

    assert await run_all(LISTS, one) == {"valid": LISTS}


def _check_pattern(pattern: str) -> Callable[[str], object]:
    def check(text: str) -> object:
        assert re.fullmatch(pattern, text), text
        return text

    return check


def _check_url(text: str) -> object:
    url = URL(text)
    assert url.scheme in ("http", "https")
    assert url.host
    assert "." in url.host
    return url


CHECKS: Mapping[str, Callable[[str], object]] = {
    **dict.fromkeys(("integer", "int"), int),
    **dict.fromkeys(("number", "float", "decimal"), float),
    **dict.fromkeys(("boolean", "bool"), _check_pattern("true|false")),
    **dict.fromkeys(("string", "str"), str),
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    **dict.fromkeys(("datetime", "date-time"), datetime.fromisoformat),
    "duration": _check_pattern(r"P(?=.)(\d+D)?(T\d+[HMS])?"),
    "email": _check_pattern(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+"),
    **dict.fromkeys(("url", "uri"), _check_url),
    "uuid": UUID,
    "hostname": _check_pattern(r"[a-z0-9-]+(\.[a-z0-9-]+)+"),
    "ipv4": IPv4Address,
    "color": _check_pattern("#[0-9a-f]{6}"),
    "phone": _check_pattern(r"\+\d{8,15}"),
}
"""What each data type is read with, for the most part by somebody else's code."""


@pytest.mark.timeout(600)
@pytest.mark.asyncio(loop_scope="session")
async def test_a_format_is_always_readable_as_its_data_type(wide_service: Service) -> None:
    names = [name for name in DATA_TYPES for _ in range(PER_DATA_TYPE)]

    async def one(number: int) -> str:
        message = await ask(wide_service, random.Random(number), "format", names[number])
        assert message is not None
        CHECKS[names[number]](message)
        return "valid"

    assert set(CHECKS) == set(DATA_TYPES)
    assert await run_all(len(names), one) == {"valid": len(names)}


def test_dates_are_those_of_the_calendar() -> None:
    pattern = re.compile(DATA_TYPES["date"]["pattern"])
    for year in (1000, 1900, 1999, 2000, 2023, 2024, 2100, 2400, 2999):
        for month in range(14):
            for day in range(33):
                text = f"{year:04}-{month:02}-{day:02}"
                try:
                    date.fromisoformat(text)
                    is_date = True
                except ValueError:
                    is_date = False
                assert bool(pattern.fullmatch(text)) == is_date, text


@pytest.mark.parametrize("choices", ['["a", "b"]', "a, b", ["a", "b", "a"]])
def test_a_list_may_be_said_in_several_ways(choices: object) -> None:
    assert choose_form("choices", choices).schema == {"enum": ["a", "b"]}


def test_random_text_that_a_schema_allows_is_completed_wherever_it_is_cut() -> None:
    finisher, constrainer, outcomes = Finisher(), make_byte_constrainer(), Counter[str]()
    for number in range(400):
        chance = random.Random(number)
        schema = random_schema(chance)
        try:
            check_schema(schema)
            constraint = constrainer.start(schema)
        except (ApiError, SchemaUnusableError):
            outcomes["refused"] += 1
            continue
        text = bytearray()
        for _ in range(chance.randrange(60)):
            allowed = [byte for byte in range(128) if not constraint.is_complete and constraint.allowed()[byte]]
            if not allowed:
                break
            text.append(chance.choice(allowed))
            constraint.accept(text[-1])
        whole = finisher.finish(schema, text.decode())
        assert whole.startswith(text.decode())
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(json.loads(whole))
        outcomes["valid"] += 1
    assert outcomes["valid"] >= 350, outcomes


@pytest.mark.timeout(600)
@pytest.mark.asyncio(loop_scope="session")
async def test_the_other_engine_holds_to_them_too(tmp_path: Path) -> None:
    config = LocalConfig(model_path=demo_path(), model_name=DEMO_NAME, context_tokens=1024, slots=2, threads=1)
    engine = CTransformersEngine(config)
    await engine.start()
    try:
        async with running_service(engine, tmp_path, abilities=CTRANSFORMERS, slots=2, context_tokens=1024) as service:
            for number in range(40):
                chance = random.Random(number)
                schema = random_schema(chance)
                message = await ask(service, chance, "json", schema)
                if message is not None:
                    Draft202012Validator(schema, format_checker=FormatChecker()).validate(json.loads(message))
                choices = random_list(chance)
                assert await ask(service, chance, "choices", choices) in list(map(_as_text, choices))
            for name in DATA_TYPES:
                message = await ask(service, random.Random(name), "format", name)
                assert message is not None
                CHECKS[name](message)
    finally:
        await engine.close()
