"""Reading function calls out of a reply, however its text is torn, and the schema that holds a reply to one."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from api.job import ToolCall, Tools
from api.tool_calls import CallReader, call_schema

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"place": {"$ref": "#/$defs/Place"}},
            "required": ["place"],
            "$defs": {"Place": {"type": "string", "minLength": 1}},
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "clock"}}
TOOLS = Tools(offered=[WEATHER, CLOCK])

CALL = '{"name": "weather", "arguments": {"place": "Łódź <b>"}}'


def read(text: str, cuts: list[int], tools: Tools | None = TOOLS) -> tuple[str, list[ToolCall]]:
    """Read a text that arrives in pieces; returns what was text and what was calls."""
    reader = CallReader(tools)
    borders = sorted({0, *(cut % (len(text) + 1) for cut in cuts), len(text)})
    said = [reader.add(text[a:b]) for a, b in pairwise(borders)]
    last = reader.finish(0)
    calls = list(last.tool_calls) if last is not None else []
    return "".join(said) + (last.text if last is not None else ""), calls


@pytest.mark.parametrize(
    ("text", "words", "count"),
    [
        (f"<tool_call>\n{CALL}\n</tool_call>", "", 1),
        (f"Let me look. <tool_call>{CALL}</tool_call>\n<tool_call>{CALL}</tool_call>", "Let me look. ", 2),
        (f"[TOOL_CALLS][{CALL}, {CALL}]", "", 2),
        (CALL, "", 1),
        (f"  {CALL}", "", 1),
        (f"<|python_tag|>{CALL}; {CALL}", "", 2),
        ('{"name": "weather", "parameters": {"place": "Łódź <b>"}}', "", 1),
    ],
)
@given(cuts=st.lists(st.integers(0, 200)))
def test_a_call_is_read_in_every_form_and_however_it_is_torn(
    text: str, words: str, count: int, cuts: list[int]
) -> None:
    said, calls = read(text, cuts)
    assert said == words
    assert [call.name for call in calls] == ["weather"] * count
    assert all(json.loads(call.arguments) == {"place": "Łódź <b>"} for call in calls)
    assert len({call.id for call in calls}) == count


@pytest.mark.parametrize(
    "text",
    [
        "Hello! 1 < 2 and [3]",
        "<tool_call>{broken</tool_call>",
        '{"name": "unknown", "arguments": {}}',
        '{"answer": 42}',
        f"<tool_call>{CALL}</tool_call> and more words",
        f"<tool_call>{CALL}</tool_call><tool_call>oops",
        "<tool_cal",
        "   ",
        "[1, 2]",
        "[" * 5000,
        "",
    ],
)
@given(cuts=st.lists(st.integers(0, 6000)))
def test_what_is_no_call_stays_text_whole(text: str, cuts: list[int]) -> None:
    assert read(text, cuts) == (text, [])


@given(text=st.text(alphabet="<tool_call>[]{} \n|python_tag", max_size=60), cuts=st.lists(st.integers(0, 60)))
def test_nothing_is_ever_lost_or_said_twice(text: str, cuts: list[int]) -> None:
    assert read(text, cuts) == (text, [])


def test_without_tools_a_call_is_text_at_once() -> None:
    assert CallReader(None).add(CALL) == CALL


def test_a_schema_for_one_function_holds_name_and_arguments_references_included() -> None:
    schema = call_schema(Tools(offered=[WEATHER, CLOCK], must_call=frozenset({"weather"})))
    assert schema is not None
    assert is_valid(schema, {"name": "weather", "arguments": {"place": "Rome"}})
    assert not is_valid(schema, {"name": "weather", "arguments": {"place": ""}})
    assert not is_valid(schema, {"name": "clock", "arguments": {}})


def test_a_schema_for_several_functions_takes_any_of_them() -> None:
    schema = call_schema(Tools(offered=[WEATHER, CLOCK], must_call=frozenset({"weather", "clock"})))
    assert schema is not None
    assert is_valid(schema, {"name": "weather", "arguments": {"place": "Rome"}})
    assert is_valid(schema, {"name": "clock", "arguments": {}})
    assert not is_valid(schema, {"name": "clock", "arguments": []})
    assert call_schema(TOOLS) is None


def is_valid(schema: dict[str, Any], value: object) -> bool:
    return bool(Draft202012Validator(schema).is_valid(value))
