"""One reply over `/v1/completions`, to a prompt of token ids: vLLM's way.

Owns: the body and the events. Does not own: the options' words (`options.py`).

https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html#completions-api
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from generation.abilities import Abilities
from generation.engine import Finished, Piece, SamplingOptions, TokenLogprob
from generation.remote.options import say_options
from generation.remote.tally import Tally, bound_logprob
from generation.remote.wire import RemoteClient


def completions_body(
    prompt: Sequence[int], options: SamplingOptions, *, abilities: Abilities, model: str
) -> dict[str, Any]:
    """Say what the server shall do."""
    body = say_options(options, abilities) | {
        "model": model,
        "prompt": list(prompt),
        "add_special_tokens": False,
        "skip_special_tokens": not options.shown_tokens,
    }
    # Every event then says how many tokens the reply has cost.
    body["stream_options"]["continuous_usage_stats"] = True
    if options.logprobs is not None:
        body["logprobs"] = options.logprobs
    return body


async def stream_completion(
    client: RemoteClient, body: Mapping[str, Any], *, prompt_tokens: int, stop: Sequence[str]
) -> AsyncGenerator[Piece | Finished, None]:
    """Send the request and yield what comes of it; raises `EngineUnavailableError`, `EngineRefusedError`."""
    tally = Tally(prompt_tokens=prompt_tokens, most_tokens=body["max_tokens"], stop=stop)
    async with aclosing(client.stream("/v1/completions", body)) as events:
        async for event in events:
            tally.note_usage(event.get("usage"))
            for choice in event["choices"][:1]:
                text = choice.get("text") or ""
                logprobs = _read_logprobs(choice.get("logprobs"), body.get("logprobs") or 0)
                if text or logprobs:
                    yield tally.say(text, logprobs)
                tally.note_end(choice)
    yield tally.finish(is_json="response_format" in body)


def _read_logprobs(said: Mapping[str, Any] | None, count: int) -> tuple[TokenLogprob, ...]:
    """Read the tokens' texts and numbers. Bytes of a token that is a part of a character are not told."""
    if not said:
        return ()
    alternatives = said.get("top_logprobs") or [None] * len(said["tokens"])
    return tuple(
        _entry(token, logprob, [_entry(*each) for each in _likeliest(others or {})[:count]])
        for token, logprob, others in zip(said["tokens"], said["token_logprobs"], alternatives, strict=True)
    )


def _likeliest(others: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(others.items(), key=lambda pair: -pair[1])


def _entry(token: str, logprob: float | None, alternatives: Sequence[TokenLogprob] = ()) -> TokenLogprob:
    return TokenLogprob(token, token.encode(), bound_logprob(logprob), tuple(alternatives))
