import asyncio
import itertools
import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from generation.constraint import require_json
from generation.engine import EngineState, EngineStatus, Finished, Message, Piece
from generation.errors import (
    EngineUnavailableError,
    FormatRefusedError,
    ModelError,
    PromptTooLongError,
    TemplateRefusedError,
)
from generation.llama_cpp import LlamaCppEngine
from generation.sampling import SAMPLERS, completion_body
from tests.generation.asking import ask, count_busy_slots, options, text_of, wait_for_busy_slots
from tests.generation.conftest import config_for
from tests.generation.tiny_model import TinyModel, write_tiny_model

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELLO = [Message("system", "Be brief."), Message("user", "Hello, who are you?")]
LONG_PROMPT = [1] + [300] * 16_000
"""Takes the slow engine many seconds."""


async def test_a_reply_is_pieces_and_one_end_with_exact_counts(engine: LlamaCppEngine) -> None:
    prompt = await engine.encode_chat(HELLO)
    pieces, end = await ask(engine, prompt, options(max_tokens=24))
    assert end.prompt_tokens == len(prompt)
    assert end.completion_tokens == 24
    assert end.reason == "length"
    counts = [piece.completion_tokens for piece in pieces]
    assert counts == sorted(counts)
    assert counts[-1] <= end.completion_tokens
    assert end.completion_duration_ns > 0


async def test_the_model_is_described_from_its_file(engine: LlamaCppEngine, tiny_model: Path) -> None:
    assert engine.model.name == "tiny"
    assert engine.model.size_bytes == tiny_model.stat().st_size
    assert engine.model.trained_context == 4096
    assert engine.model.parameters == 33_696
    assert engine.status.state is EngineState.READY


async def test_each_slot_has_the_whole_configured_context(engine: LlamaCppEngine) -> None:
    assert engine._supervisor is not None
    slots = await engine._supervisor.client.get("/slots")
    assert [slot["n_ctx"] for slot in slots] == [2048, 2048]


async def test_a_context_beyond_the_trained_one_is_lowered(models_folder: Path) -> None:
    model = write_tiny_model(models_folder / "short.gguf", TinyModel(context=512))
    engine = LlamaCppEngine(config_for(model, context_tokens=4096, slots=1))
    await engine.start()
    try:
        assert engine.context_tokens == 512
        _, end = await ask(engine, [1, *[300] * 500], options(max_tokens=400))
        assert (end.reason, end.completion_tokens) == ("length", 11)
    finally:
        await engine.close()


async def test_a_prompt_that_leaves_no_room_is_refused_with_both_numbers(engine: LlamaCppEngine) -> None:
    with pytest.raises(PromptTooLongError) as caught:
        await ask(engine, [1] * 2048)
    assert (caught.value.prompt_tokens, caught.value.limit_tokens) == (2048, 2047)
    _, end = await ask(engine, [1] * 2047)
    assert end.completion_tokens == 1


async def test_the_same_seed_repeats_a_reply_and_another_does_not(engine: LlamaCppEngine) -> None:
    prompt = await engine.encode_chat(HELLO)
    first = text_of((await ask(engine, prompt, options(seed=5)))[0])
    again = text_of((await ask(engine, prompt, options(seed=5)))[0])
    other = text_of((await ask(engine, prompt, options(seed=6)))[0])
    assert first == again != other


async def test_the_largest_seed_is_not_taken_for_random(engine: LlamaCppEngine) -> None:
    sampling = options(seed=2**32 - 2)
    replies = {text_of((await ask(engine, [1, 300], sampling))[0]) for _ in range(3)}
    assert len(replies) == 1


async def test_temperature_zero_is_greedy(engine: LlamaCppEngine) -> None:
    replies = {text_of((await ask(engine, [1, 300], options(temperature=0.0, seed=seed)))[0]) for seed in range(3)}
    assert len(replies) == 1


async def test_a_stop_text_ends_the_reply_and_is_not_part_of_it(engine: LlamaCppEngine) -> None:
    schema = {"const": "one two three four"}
    for stop, left in (("three", '"one two '), ("two three", '"one '), ('"', "")):
        pieces, end = await ask(engine, [1, 300], options(json_schema=schema, stop=("never said", stop)))
        assert (text_of(pieces), end.reason) == (left, "stop")


async def test_the_models_own_end_finishes_with_stop(engine: LlamaCppEngine) -> None:
    schema = {"const": "x"}
    pieces, end = await ask(engine, [1, 300], options(json_schema=schema, ignore_eos=False, max_tokens=50))
    assert (text_of(pieces), end.reason) == ('"x"', "stop")


async def test_pieces_never_split_a_character(engine: LlamaCppEngine) -> None:
    """The schema makes the model spell emoji, each of which is four byte tokens here."""
    words = "\U0001f600\U0001f468‍\U0001f469‍\U0001f467 ñ 漢"
    pieces, _ = await ask(engine, [1, 300], options(json_schema={"const": words}, max_tokens=80, ignore_eos=False))
    assert json.loads(text_of(pieces)) == words
    assert all("�" not in piece.text for piece in pieces)
    text_of(pieces).encode()


async def test_a_reply_cut_inside_a_character_holds_no_half_of_it(engine: LlamaCppEngine) -> None:
    schema = {"const": "\U0001f600"}
    for limit in range(1, 8):
        pieces, end = await ask(engine, [1, 300], options(json_schema=schema, max_tokens=limit, ignore_eos=False))
        assert text_of(pieces) in ('"', '"\U0001f600', '"\U0001f600"')
        assert end.completion_tokens <= limit


async def test_random_bytes_are_still_text(engine: LlamaCppEngine) -> None:
    """A model of random weights produces invalid UTF-8 all the time."""
    pieces, _ = await ask(engine, [1, 300], options(temperature=5.0, top_k=0, top_p=1.0, max_tokens=400))
    assert any("�" in piece.text for piece in pieces)
    text_of(pieces).encode()


async def test_a_json_schema_constrains_the_reply(engine: LlamaCppEngine) -> None:
    schema = {
        "type": "object",
        "properties": {"mood": {"enum": ["good", "bad"]}, "count": {"type": "integer", "maximum": 9, "minimum": 0}},
        "required": ["mood", "count"],
        "additionalProperties": False,
    }
    for seed in range(5):
        sampling = options(json_schema=schema, ignore_eos=False, max_tokens=400, seed=seed, top_k=3)
        pieces, end = await ask(engine, [1, 300], sampling)
        if end.reason == "stop":
            jsonschema.validate(json.loads(text_of(pieces)), schema)
            return
    pytest.fail("no reply was finished")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objct"},
        {"$ref": "#/nowhere"},
        {"enum": []},
        {"type": "string", "pattern": "(?=a)b"},
        {"allOf": [{"type": "string"}, {"type": "integer"}]},
    ],
)
async def test_a_schema_the_engine_cannot_enforce_is_refused_before_any_piece(
    engine: LlamaCppEngine, schema: dict[str, Any]
) -> None:
    """llama.cpp itself ignores such schemas in silence."""
    for _ in range(2):
        with pytest.raises(FormatRefusedError) as caught:
            await ask(engine, [1, 300], options(json_schema=schema))
        assert "JSON Schema" in caught.value.problem
        assert "llguidance" not in caught.value.problem


async def test_a_schema_that_stops_binding_midway_is_said_at_the_end() -> None:
    """llguidance gives up on large ones in silence; how early depends on the model, so its outcome is given here."""
    require_json('{"a": 1}')
    with pytest.raises(FormatRefusedError):
        require_json('"aaaa = 24')


async def test_a_schema_ends_the_reply_even_when_the_models_end_is_ignored(engine: LlamaCppEngine) -> None:
    pieces, end = await ask(engine, [1, 300], options(json_schema={"const": 12}, ignore_eos=True))
    assert (text_of(pieces), end.reason) == ("12", "stop")


async def test_a_schema_costs_no_second_computation_of_the_prompt(engine: LlamaCppEngine) -> None:
    prompt = [1, *range(320, 350)]
    _, end = await ask(engine, prompt, options(json_schema={"type": "object", "title": "new"}))
    assert end.cached_tokens <= 1
    _, end = await ask(engine, prompt, options(json_schema={"type": "object", "title": "new"}))
    assert end.cached_tokens == len(prompt) - 1


async def test_a_repeated_beginning_is_not_computed_again(engine: LlamaCppEngine) -> None:
    prompt = await engine.encode_chat([Message("user", "Tell me of the sea. " * 20)])
    await ask(engine, prompt)
    _, end = await ask(engine, [*prompt, 300, 301])
    assert end.cached_tokens == len(prompt)


async def test_every_option_arrives(engine: LlamaCppEngine) -> None:
    sampling = options(
        temperature=0.5,
        top_k=11,
        top_p=0.25,
        min_p=0.125,
        typical_p=0.75,
        mirostat=2,
        mirostat_tau=3.5,
        mirostat_eta=0.5,
        repeat_last_n=33,
        repeat_penalty=1.25,
        presence_penalty=-0.5,
        frequency_penalty=1.5,
        seed=12345,
        max_tokens=3,
        stop=("halt",),
        ignore_eos=True,
    )
    settings = await _fetch_settings(engine, completion_body([1, 300], sampling, context_tokens=2048))
    wanted = completion_body([1, 300], sampling, context_tokens=2048)
    compared = set(wanted) - {"prompt", "cache_prompt", "return_progress"}
    assert {name: settings[name] for name in compared} == {name: wanted[name] for name in compared}
    assert tuple(settings["samplers"]) == SAMPLERS


async def test_a_penalty_over_the_whole_context_is_said_in_tokens(engine: LlamaCppEngine) -> None:
    for asked, said in ((-1, 2048), (0, 0), (10**12, 2048)):
        body = completion_body([1, 300], options(repeat_last_n=asked, max_tokens=1), context_tokens=2048)
        assert (await _fetch_settings(engine, body))["repeat_last_n"] == said


async def test_options_change_what_is_said(engine: LlamaCppEngine) -> None:
    plain = text_of((await ask(engine, [1, 300], options(max_tokens=40)))[0])
    for change in ({"mirostat": 1}, {"mirostat": 2}, {"repeat_penalty": 5.0}, {"top_k": 1}, {"frequency_penalty": 2.0}):
        assert text_of((await ask(engine, [1, 300], options(max_tokens=40, **change)))[0]) != plain, change


async def test_the_extremes_of_every_option_are_answered(engine: LlamaCppEngine) -> None:
    extremes: dict[str, tuple[float, ...]] = {
        "temperature": (0.0, 5.0),
        "top_k": (0, 10**12),
        "top_p": (0.0, 1.0),
        "min_p": (0.0, 1.0),
        "typical_p": (0.0, 1.0),
        "mirostat": (0, 1, 2),
        "mirostat_tau": (0.0, 20.0),
        "mirostat_eta": (0.0, 1.0),
        "repeat_last_n": (-1, 10**12),
        "repeat_penalty": (0.1, 5.0),
        "presence_penalty": (-2.0, 2.0),
        "frequency_penalty": (-2.0, 2.0),
    }
    cases: list[dict[str, float]] = [{name: value} for name, values in extremes.items() for value in values]
    cases += [{"temperature": 0.0, "mirostat": version, "mirostat_tau": 0.0, "mirostat_eta": 0.0} for version in (1, 2)]
    cases += [dict(zip(extremes, (values[at] for values in extremes.values()), strict=True)) for at in (0, -1)]
    for case in cases:
        _, end = await ask(engine, [1, 300], options(max_tokens=4, **case))
        assert end.completion_tokens == 4, case


async def _fetch_settings(engine: LlamaCppEngine, body: dict[str, Any]) -> dict[str, Any]:
    assert engine._supervisor is not None
    async with aclosing(engine._supervisor.client.stream("/completion", body)) as events:
        async for event in events:
            if event.get("stop"):
                settings: dict[str, Any] = event["generation_settings"]
                return settings
    raise AssertionError("no last event")


async def test_closing_a_stream_frees_its_slot(slow_engine: LlamaCppEngine) -> None:
    async with aclosing(slow_engine.generate([1, 300], options(max_tokens=16_000))) as events:
        async for event in events:
            assert isinstance(event, Piece)
            break
        assert await count_busy_slots(slow_engine) == 1
    await wait_for_busy_slots(slow_engine, 0, timeout_seconds=10)


async def test_cancelling_during_the_prompt_frees_its_slot(slow_engine: LlamaCppEngine) -> None:
    asking = asyncio.create_task(ask(slow_engine, LONG_PROMPT))
    await wait_for_busy_slots(slow_engine, 1, timeout_seconds=20)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await wait_for_busy_slots(slow_engine, 0, timeout_seconds=10)


async def test_cancelling_while_waiting_for_a_slot_leaves_nothing_behind(slow_engine: LlamaCppEngine) -> None:
    running = asyncio.create_task(ask(slow_engine, [1, 300], options(max_tokens=16_000)))
    await wait_for_busy_slots(slow_engine, 1, timeout_seconds=20)
    waiting = asyncio.create_task(ask(slow_engine, LONG_PROMPT))
    await asyncio.sleep(0.2)
    waiting.cancel()
    running.cancel()
    await asyncio.gather(waiting, running, return_exceptions=True)
    await wait_for_busy_slots(slow_engine, 0, timeout_seconds=10)
    _, end = await ask(slow_engine, [1, 300], options(max_tokens=2))
    assert end.completion_tokens == 2


async def test_replies_run_side_by_side(engine: LlamaCppEngine) -> None:
    async def reach(event: asyncio.Event, other: asyncio.Event) -> Finished | None:
        async with aclosing(engine.generate([1, 300], options(max_tokens=1500))) as events:
            async for _ in events:
                event.set()
                await asyncio.wait_for(other.wait(), 10)
                return None
        return None

    one, two = asyncio.Event(), asyncio.Event()
    await asyncio.gather(reach(one, two), reach(two, one))


async def test_plain_text_is_counted_without_a_template(engine: LlamaCppEngine) -> None:
    assert await engine.encode_text("") == []
    assert len(await engine.encode_text("abc")) == 3
    assert len(await engine.encode_text("\U0001f600")) == 4
    assert len(await engine.encode_text("a\x00b")) == 3


STRICT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('must alternate') }}{% endif %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] | trim + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


async def test_a_strict_template_gets_roles_in_the_order_it_takes(models_folder: Path) -> None:
    model = write_tiny_model(models_folder / "strict.gguf", TinyModel(template=STRICT_TEMPLATE))
    engine = LlamaCppEngine(config_for(model))
    await engine.start()
    try:
        plain = await engine.encode_chat([Message("user", "Be brief.\n\nHi"), Message("assistant", "Yo")])
        folded = [Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Yo")]
        line_end = (await engine.encode_text("\n"))[0]
        # llama.cpp folds it too where it notices that the template knows no system role, with one line end.
        assert _without(line_end, await engine.encode_chat(folded)) == _without(line_end, plain)
        merged = [Message("user", "Be brief."), Message("user", "Hi"), Message("assistant", "Yo")]
        assert await engine.encode_chat(merged) == plain
        with pytest.raises(TemplateRefusedError):
            await engine.encode_chat([Message("assistant", "Me first"), Message("user", "no")])
    finally:
        await engine.close()


def _without(token: int, tokens: list[int]) -> list[int]:
    return [other for other in tokens if other != token]


async def test_any_order_of_roles_is_taken_by_an_easy_template(engine: LlamaCppEngine) -> None:
    for roles in itertools.product(("system", "user", "assistant"), repeat=3):
        messages = [Message(role, f"text {at}") for at, role in enumerate(roles)]  # type: ignore[arg-type]
        assert len(await engine.encode_chat(messages)) > 10


async def test_before_the_start_everything_says_unavailable(tiny_model: Path) -> None:
    engine = LlamaCppEngine(config_for(tiny_model))
    assert engine.status == EngineStatus(EngineState.STARTING, "the model is not loaded")
    with pytest.raises(EngineUnavailableError):
        await engine.encode_text("x")
    with pytest.raises(EngineUnavailableError):
        await ask(engine, [1])
    with pytest.raises(EngineUnavailableError):
        _ = engine.model
    await engine.close()
    assert engine.status == EngineStatus(EngineState.STOPPED, "the model is not loaded")


async def test_a_missing_file_is_said_at_the_start(tmp_path: Path) -> None:
    engine = LlamaCppEngine(config_for(tmp_path / "none.gguf"))
    with pytest.raises(ModelError, match="there is no model file"):
        await engine.start()
    await engine.close()
