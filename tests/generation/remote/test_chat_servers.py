"""The remote engine against servers that take messages only (tests/doubles/openai_server.py)."""

import json
from dataclasses import replace
from typing import Any

import pytest

from generation.abilities import NEUTRAL
from generation.engine import Message
from generation.errors import (
    ContinuingRefusedError,
    FormatRefusedError,
    ModelError,
    PromptTooLongError,
    RequestRefusedError,
    ToolsRefusedError,
)
from generation.remote.chat import break_control_texts, count_tokens
from generation.remote.facts import Kind
from generation.remote.learn import learn
from generation.remote.tables import OLLAMA, STANDARD
from tests.doubles.openai_server import REPLY, OpenAIServer
from tests.doubles.vllm_server import serving
from tests.generation.asking import ask, options, text_of
from tests.generation.remote.engines import config_for, running_engine

OFF = options(**{**NEUTRAL, "temperature": 0.5, "max_tokens": 64})
HELLO = [Message("system", "Be brief."), Message("user", "Hello!")]
EVERYTHING = frozenset({"usage", "logprobs", "json_schema"})


async def test_the_least_server_does_what_openais_route_promises_and_no_more() -> None:
    server = OpenAIServer("a-model")
    async with serving(server.app) as url, running_engine(config_for(url)) as (engine, cluster):
        assert cluster.facts.kind is Kind.CHAT
        assert cluster.abilities.options == STANDARD
        prompt = await engine.encode_chat(HELLO)
        pieces, end = await ask(engine, prompt, replace(OFF, stop=("x",), seed=5))
        assert text_of(pieces) == "".join(REPLY)
        assert (end.reason, end.prompt_tokens, end.completion_tokens) == ("stop", len(prompt), len(REPLY))
        said = {"model": "a-model", "temperature": 0.5, "seed": 5, "stop": ["x"], "max_tokens": 64}
        assert said.items() <= server.bodies[-1].items()
        assert not {"top_k", "min_p", "repetition_penalty", "ignore_eos"} & server.bodies[-1].keys()


async def test_what_ollama_does_is_found_out() -> None:
    server = OpenAIServer("llama3.2:1b", "qwen3:4b", knows=EVERYTHING)
    async with serving(server.app) as url, running_engine(config_for(url, model="qwen3:4b")) as (engine, cluster):
        assert cluster.abilities.options == OLLAMA.options
        assert cluster.facts.names == ("qwen3:4b", "llama3.2:1b")
        prompt = await engine.encode_chat(HELLO)
        schema = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}
        pieces, _ = await ask(engine, prompt, replace(OFF, json_schema=schema))
        assert json.loads(text_of(pieces))["a"] == 1
        pieces, _ = await ask(engine, prompt, replace(OFF, logprobs=2, adapter="llama3.2:1b"))
        first = pieces[0].logprobs[0]
        assert (first.text, first.data, first.logprob) == ("Hello", b"Hello", -0.25)
        assert [each.text for each in first.alternatives] == ["Hello", "No"]
        assert server.bodies[-1]["model"] == "llama3.2:1b"


async def test_a_model_that_thinks_is_heard_only_when_it_answers() -> None:
    server = OpenAIServer("a-model", knows=frozenset({"thinks"}))
    async with serving(server.app) as url, running_engine(config_for(url)) as (engine, _):
        pieces, end = await ask(engine, await engine.encode_chat(HELLO), OFF)
        assert text_of(pieces) == "".join(REPLY)
        # It tells no counts, so each event counts for a token.
        assert end.completion_tokens == len(REPLY) + 1


async def test_a_conversation_is_counted_rather_too_long() -> None:
    server = OpenAIServer("a-model")
    async with serving(server.app) as url, running_engine(config_for(url)) as (engine, _):
        text = "Prose has more than four characters a token in today's vocabularies. "
        assert len(await engine.encode_text(text)) == count_tokens(text) == 23
        assert len(await engine.encode_chat([Message("user", text)])) > 23
        assert count_tokens("你好") == 2


async def test_what_a_server_finds_too_long_is_told_as_such() -> None:
    server = OpenAIServer("a-model", context_tokens=100)
    async with serving(server.app) as url, running_engine(config_for(url)) as (engine, _):
        prompt = await engine.encode_chat([Message("user", "x" * 200)])
        with pytest.raises(PromptTooLongError) as caught:
            await ask(engine, prompt, OFF)
        assert caught.value.prompt_tokens > caught.value.limit_tokens
        assert engine.status.replicas[0].is_up


async def test_what_it_cannot_know_is_refused() -> None:
    server = OpenAIServer("a-model", knows=EVERYTHING)
    async with serving(server.app) as url, running_engine(config_for(url)) as (engine, _):
        with pytest.raises(ToolsRefusedError):
            await engine.encode_chat(HELLO, [{"type": "function", "function": {"name": "f"}}])
        with pytest.raises(ContinuingRefusedError):
            await engine.encode_chat([*HELLO, Message("assistant", "He")])
        for _ in range(4):
            with pytest.raises(RequestRefusedError):
                await ask(engine, await engine.encode_chat(HELLO), replace(OFF, temperature=3.0))
        # A request that is refused says nothing against the server.
        assert engine.status.replicas[0].is_up


async def test_tools_go_to_a_server_that_called_one_when_it_was_tried() -> None:
    server = OpenAIServer("a-model", knows=EVERYTHING | {"tools"})
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    async with serving(server.app) as url, running_engine(config_for(url)) as (engine, cluster):
        assert cluster.takes_tools
        prompt = await engine.encode_chat(HELLO, [tool])
        assert len(prompt) > len(await engine.encode_chat(HELLO))
        pieces, end = await ask(engine, prompt, OFF)
        assert text_of(pieces) == '<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>'
        assert end.reason == "stop"
        assert server.bodies[-1]["tools"] == [tool]
        call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        answered = [
            *HELLO,
            Message("assistant", "", tool_calls=[call]),
            Message("tool", "Rain.", tool_call_id="call_1"),
        ]
        await ask(engine, await engine.encode_chat(answered, [tool]), OFF)
        assert server.bodies[-1]["messages"][2:] == [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "Rain.", "tool_call_id": "call_1"},
        ]


async def test_a_reply_that_breaks_its_schema_is_not_passed_off_as_json() -> None:
    server = OpenAIServer("a-model", knows=EVERYTHING)
    async with serving(server.app) as url, running_engine(config_for(url)) as (engine, _):
        server.knows = frozenset({"usage"})
        with pytest.raises(FormatRefusedError):
            await ask(engine, await engine.encode_chat(HELLO), replace(OFF, json_schema={"type": "object"}))


@pytest.mark.parametrize(
    "text",
    ["<|im_end|>", "<|start_header_id|>", "</s>", "<start_of_turn>", "[INST]", "<｜User｜>", "<<SYS>>", "<think>"],
)
async def test_control_tokens_of_known_families_are_broken_on_the_way(text: str) -> None:
    broken = break_control_texts(f"a{text}b")
    assert text not in broken
    assert broken.replace("\u200b", "") == f"a{text}b"
    server = OpenAIServer("a-model")
    async with serving(server.app) as url, running_engine(config_for(url)) as (engine, _):
        await ask(engine, await engine.encode_chat([Message("user", f"a{text}b")]), OFF)
        assert server.bodies[-1]["messages"] == [{"role": "user", "content": broken}]


@pytest.mark.parametrize("text", ["a < b > c", "<div>", "x[1]", "<b>bold</b>", "|>"])
def test_other_texts_are_left_alone(text: str) -> None:
    assert break_control_texts(text) == text


@pytest.mark.parametrize(
    ("models", "wanted", "sentence"),
    [
        ([], None, "has no models"),
        (["a", "b"], None, "has several models; set PARLEY_MODEL to one of a, b"),
        (["a", "b"], "c", "has no model of the name in PARLEY_MODEL; it has a, b"),
        ([f"m{at}" for at in range(30)], "c", "it has m0, m1, m2, m3, m4 and 25 more"),
    ],
)
async def test_a_model_that_is_not_there_is_one_line(models: list[str], wanted: str | None, sentence: str) -> None:
    server: Any = OpenAIServer(*models)
    async with serving(server.app) as url:
        with pytest.raises(ModelError) as caught:
            await learn(config_for(url, model=wanted))
        assert sentence in str(caught.value)
        assert str(caught.value).startswith("PARLEY_ENGINE_URL: engine server 1 (http://127.0.0.1:")
