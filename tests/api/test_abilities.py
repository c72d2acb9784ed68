"""What a caller wrote is honoured or refused; what nobody wrote is off where the engine cannot do it."""

from typing import Any

import pytest

from api.abilities import within_abilities
from api.contract import ChatRequest
from api.errors import ApiError
from api.native import to_sampling
from generation.abilities import LLAMA_CPP
from generation.remote.tables import PLAIN, VLLM

MESSAGES = [{"role": "user", "content": "Hi"}]


def asked(**options: Any) -> ChatRequest:
    return ChatRequest.model_validate({"messages": MESSAGES, **options})


def test_an_engine_that_can_do_everything_gets_everything() -> None:
    request = asked(mirostat=2, repeat_last_n=7, num_predict=-2)
    options = to_sampling(request)
    assert within_abilities(options, LLAMA_CPP, asked=request) is options


def test_defaults_that_the_engine_cannot_do_are_off() -> None:
    request = asked(temperature=0.3)
    options = within_abilities(to_sampling(request), PLAIN, asked=request)
    assert (options.top_k, options.repeat_penalty, options.top_p, options.temperature) == (0, 1.0, 0.9, 0.3)
    options = within_abilities(to_sampling(request), VLLM, asked=request)
    assert (options.top_k, options.repeat_penalty, options.repeat_last_n) == (40, 1.1, -1)


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ({"top_k": 40}, "top_k"),
        ({"repeat_penalty": 1.1}, "repeat_penalty"),
        ({"format": "json"}, "format"),
        ({"num_predict": -2}, "num_predict"),
        ({"mirostat": 1}, "mirostat"),
    ],
)
def test_what_was_written_is_refused_by_name_even_with_the_defaults_value(written: dict[str, Any], field: str) -> None:
    request = asked(**written)
    with pytest.raises(ApiError) as caught:
        within_abilities(to_sampling(request), PLAIN, asked=request)
    assert [each.field for each in caught.value.details] == [field]


@pytest.mark.parametrize("neutral", [{"top_k": 0}, {"repeat_penalty": 1}, {"mirostat": 0}, {"min_p": 0}])
def test_what_is_switched_off_in_writing_is_never_refused(neutral: dict[str, Any]) -> None:
    request = asked(**neutral)
    within_abilities(to_sampling(request), PLAIN, asked=request)


@pytest.mark.parametrize(("window", "is_refused"), [(-1, False), (0, False), (64, True)])
def test_a_window_is_refused_where_penalties_have_none(window: int, is_refused: bool) -> None:
    request = asked(repeat_last_n=window)
    if not is_refused:
        assert within_abilities(to_sampling(request), VLLM, asked=request).repeat_last_n == window
        return
    with pytest.raises(ApiError, match="Invalid request") as caught:
        within_abilities(to_sampling(request), VLLM, asked=request)
    assert caught.value.message == "repeat_last_n: the engine vLLM cannot do this; leave it at -1"
    # Without a penalty there is nothing to look at.
    request = asked(repeat_last_n=window, repeat_penalty=1)
    within_abilities(to_sampling(request), VLLM, asked=request)
