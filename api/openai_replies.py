"""Renders the common events as OpenAI's completion, or as its chunks.

Does not own: the models of either (`openai_contract.py`), sending (`replying.py`).
"""

import secrets
from collections.abc import Sequence

from pydantic import BaseModel

from api.job import Choice, Done, Ended, Event, Job, Piece, Queued, ToolCall, Whole
from api.openai_contract import (
    AssistantMessage,
    CalledFunction,
    ChatCompletion,
    ChatCompletionChunk,
    ChoiceLogprobs,
    ChunkChoice,
    CompletionChoice,
    CompletionUsage,
    Delta,
    DeltaToolCall,
    FinishReason,
    PromptTokensDetails,
    TokenLogprobEntry,
    ToolCallEntry,
    TopLogprob,
)
from api.replying import SSE, Renderer, comment, server_sent, waiting
from generation.engine import Finished, TokenLogprob

END = b"data: [DONE]\n\n"


class OpenAIRenderer(Renderer):
    """Renders one reply. `created` is Unix time in seconds; `includes_usage` adds the chunk with it to a stream."""

    content_type = SSE

    def __init__(self, job: Job, *, model: str, created: int, includes_usage: bool) -> None:
        self._has_logprobs = job.sampling.logprobs is not None
        self._model = model
        self._created = created
        self._includes_usage = includes_usage
        self._id = f"chatcmpl-{secrets.token_hex(12)}"
        self._begun: set[int] = set()
        self._called: set[int] = set()

    def whole(self, reply: Whole) -> ChatCompletion:
        """Render the completion."""
        return ChatCompletion(
            id=self._id,
            created=self._created,
            model=self._model,
            choices=[self._choice(at, choice) for at, choice in enumerate(reply.choices)],
            usage=_usage(reply.done.finished),
        )

    def event(self, event: Event) -> bytes:
        """Render a chunk, or a comment while nothing comes."""
        match event:
            case Queued():
                return waiting(event)
            case Piece(text, choice, logprobs, calls) if text or logprobs or calls:
                return self._delta(choice, text, logprobs, calls)
            case Piece():
                return comment("working")
            case Ended(choice, finished):
                reason = _reason(finished, has_calls=choice in self._called)
                return self._begin(choice) + self._chunk(ChunkChoice(index=choice, delta=Delta(), finish_reason=reason))
            case Done(finished=finished):
                last = server_sent(self._body([], _usage(finished))) if self._includes_usage else b""
                return last + END

    def error(self, body: BaseModel) -> bytes:
        """Render what went wrong midway; the client raises on it."""
        return server_sent(body)

    def _choice(self, index: int, choice: Choice) -> CompletionChoice:
        calls = [ToolCallEntry(id=call.id, function=_function(call)) for call in choice.tool_calls]
        return CompletionChoice(
            index=index,
            message=AssistantMessage(content=choice.text or (None if calls else ""), tool_calls=calls or None),
            finish_reason=_reason(choice.finished, has_calls=bool(calls)),
            logprobs=_logprobs(choice.logprobs) if self._has_logprobs else None,
        )

    def _delta(self, choice: int, text: str, logprobs: Sequence[TokenLogprob], calls: Sequence[ToolCall]) -> bytes:
        if calls:
            self._called.add(choice)
        entries = [DeltaToolCall(index=at, id=call.id, function=_function(call)) for at, call in enumerate(calls)]
        delta = Delta(content=text or None, tool_calls=entries or None)
        found = _logprobs(logprobs) if self._has_logprobs else None
        return self._begin(choice) + self._chunk(ChunkChoice(index=choice, delta=delta, logprobs=found))

    def _begin(self, choice: int) -> bytes:
        """Say the role before anything else of a choice."""
        if choice in self._begun:
            return b""
        self._begun.add(choice)
        return self._chunk(ChunkChoice(index=choice, delta=Delta(role="assistant", content="")))

    def _chunk(self, choice: ChunkChoice) -> bytes:
        return server_sent(self._body([choice], None), exclude=None if self._includes_usage else {"usage"})

    def _body(self, choices: list[ChunkChoice], usage: CompletionUsage | None) -> ChatCompletionChunk:
        return ChatCompletionChunk(id=self._id, created=self._created, model=self._model, choices=choices, usage=usage)


def _reason(finished: Finished, *, has_calls: bool) -> FinishReason:
    return "tool_calls" if has_calls else finished.reason


def _function(call: ToolCall) -> CalledFunction:
    return CalledFunction(name=call.name, arguments=call.arguments)


def _logprobs(tokens: Sequence[TokenLogprob]) -> ChoiceLogprobs:
    return ChoiceLogprobs(content=[_entry(token) for token in tokens])


def _entry(token: TokenLogprob) -> TokenLogprobEntry:
    return TokenLogprobEntry(
        token=token.text,
        logprob=token.logprob,
        bytes=list(token.data),
        top_logprobs=[
            TopLogprob(token=each.text, logprob=each.logprob, bytes=list(each.data)) for each in token.alternatives
        ],
    )


def _usage(finished: Finished) -> CompletionUsage:
    return CompletionUsage(
        prompt_tokens=finished.prompt_tokens,
        completion_tokens=finished.completion_tokens,
        total_tokens=finished.prompt_tokens + finished.completion_tokens,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=finished.cached_tokens),
    )
