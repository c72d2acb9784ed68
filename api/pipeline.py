"""The straight line from messages to reply that every dialect shares: wait, fit, generate, settle.

Owns: the order of the steps and their bounds. Does not own: the common job and its events (`job.py`), parsing and
rendering (one module per dialect), authentication, charging (`allowance.py`), decoding (`generation/`).
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from time import monotonic_ns
from typing import TypeVar

from api.allowance import Allowance, Call
from api.deadline import Deadline
from api.errors import timed_out
from api.expectations import Size
from api.job import UNTIL_CONTEXT_IS_FULL, Done, Ended, Event, Job, OnOverflow, Piece, Queued, total
from api.places import Place
from api.queue import RequestQueue
from api.tool_calls import SHOWN_TOKENS, CallReader
from generation.engine import Engine, Finished, SamplingOptions
from generation.engine import Piece as EnginePiece
from generation.errors import EngineUnavailableError
from generation.fitting import ContextFitter, FittedPrompt
from generation.sampling import derive_seed

RETRY_SECONDS = 0.1

PLACE_SECONDS = 1.0
"""How long a request waits before it is told its place in line, and how often that is looked at again."""

NEAR_POSITION = 100
"""Who stands twice as far from the slot is told half as often: in a room of thousands that is most of what it costs."""

SILENCE_SECONDS = 10.0
"""How long nothing may come: what lies between takes a silent connection for a dead one, and so do people."""

NOTHING_YET = EnginePiece("", 0)
"""A sign of life while the prompt is read. It costs nobody anything."""

OPEN_ENDED_SHARE = 4
"""An open-ended reply keeps a quarter of the context free for itself."""

ResultT = TypeVar("ResultT")


class Pipeline:
    """Runs jobs on the engine, a bounded number at a time."""

    def __init__(
        self,
        engine: Engine,
        *,
        queue: RequestQueue,
        allowance: Allowance,
        engine_wait_seconds: float,
        deadline_seconds: float,
    ) -> None:
        self._engine = engine
        self._fitter = ContextFitter(engine)
        self._allowance = allowance
        self._engine_wait_seconds = engine_wait_seconds
        self._deadline_seconds = deadline_seconds
        self.queue = queue

    async def fit(self, job: Job) -> FittedPrompt:
        """Render and tokenize a job's messages, dropping leading turns that do not fit where that is wanted."""
        tools = () if job.tools is None else job.tools.offered
        if job.on_overflow is OnOverflow.REFUSE:
            return await self._when_ready(
                lambda: self._fitter.fit_whole(job.messages, context_tokens=job.context_tokens, tools=tools)
            )
        return await self._when_ready(
            lambda: self._fitter.fit(
                job.messages, context_tokens=job.context_tokens, reply_tokens=_reserve(job), tools=tools
            )
        )

    async def count_text(self, text: str) -> int:
        """Count the LLM tokens of a plain text."""
        return len(await self._when_ready(lambda: self._engine.encode_text(text)))

    async def _when_ready(self, step: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Take a step that can be repeated, waiting for an engine that restarts.

        An engine that died a moment ago may still pass for ready; then the step fails and is tried again.
        Raises `EngineUnavailableError` when the wait was in vain.
        """
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._engine_wait_seconds
        while True:
            await self._engine.wait_until_ready(max(0.0, ends_at - loop.time()))
            try:
                return await step()
            except EngineUnavailableError:
                if loop.time() >= ends_at:
                    raise
                await asyncio.sleep(RETRY_SECONDS)

    async def run(self, job: Job, call: Call, *, is_watched: bool) -> AsyncGenerator[Event, None]:
        """Yield the place in line while there is no slot, the pieces of the replies, then settle the call: `Done`.

        `is_watched` says that somebody gets the events as they come, and must not be left in silence.
        Raises the 503 of a full queue, the 504 of the deadline, and the errors of `generation.errors`.
        """
        steps = self._steps(job, call, monotonic_ns(), is_watched=is_watched)
        async with aclosing(steps):
            with Deadline(self._deadline_seconds) as deadline:
                while True:
                    try:
                        event = await deadline.step(steps)
                    except TimeoutError:
                        raise timed_out(self._deadline_seconds) from None
                    except StopAsyncIteration:
                        return
                    yield event

    async def _steps(self, job: Job, call: Call, started_ns: int, *, is_watched: bool) -> AsyncGenerator[Event, None]:
        ends: list[Finished] = []
        caller = call.caller
        with self.queue.place(tenant_id=caller.tenant_id, person_id=caller.person_id, size=_size(job)) as place:
            call.is_waiting, was_told = True, False
            async with aclosing(_wait_in_line(place)) as places:
                async for queued in places:
                    was_told = True
                    yield queued
            call.timings.got_slot()
            call.is_waiting = False
            if was_told and is_watched:
                # Who was told a place hears that the wait is over: from here on leaving costs the call.
                yield Piece()
            fitted = await self.fit(job)
            place.fitted(len(fitted.prompt), is_whole=not fitted.dropped_messages)
            for choice in range(job.choices):
                said = sum(end.completion_tokens for end in ends)
                async with aclosing(self._reply(job, fitted, choice, is_watched=is_watched)) as events:
                    async for event, tokens in events:
                        if tokens:
                            call.timings.got_token()
                            place.said(tokens)
                            call.produced(prompt_tokens=len(fitted.prompt), completion_tokens=said + tokens)
                        if isinstance(event, Ended):
                            place.ended(tokens, is_cut=event.finished.reason == "length")
                            ends.append(event.finished)
                        yield event
        call.timings.finished = total(ends)
        await self._allowance.settle(call)
        yield Done(
            finished=call.timings.finished,
            dropped_messages=fitted.dropped_messages,
            total_duration_ns=monotonic_ns() - started_ns,
        )

    async def _reply(
        self, job: Job, fitted: FittedPrompt, choice: int, *, is_watched: bool
    ) -> AsyncGenerator[tuple[Piece | Ended, int], None]:
        """Produce one choice: its events, each with the tokens it has cost so far."""
        options = _bounded(job, len(fitted.prompt), choice)
        reader = CallReader(job.tools)
        reply = self._engine.generate(fitted.prompt, options)
        async with aclosing(_break_silence(reply) if is_watched else reply) as events:
            async for event in events:
                if isinstance(event, EnginePiece):
                    yield Piece(reader.add(event.text), choice, event.logprobs), event.completion_tokens
                    continue
                if last := reader.finish(choice):
                    yield last, event.completion_tokens
                yield Ended(choice, event), event.completion_tokens


async def _wait_in_line(place: Place) -> AsyncGenerator[Queued, None]:
    """Wait for the slot, telling the place when it has changed, and now and then when it has not."""
    loop = asyncio.get_running_loop()
    told, told_at, pause_seconds = None, -math.inf, PLACE_SECONDS
    while not await place.turn(within_seconds=pause_seconds):
        outlook = await place.outlook()
        if outlook is None or place.is_called:
            continue
        queued = Queued(outlook.position, outlook.wait_seconds)
        pause_seconds = min(SILENCE_SECONDS, PLACE_SECONDS * max(1, outlook.position / NEAR_POSITION))
        if queued != told or loop.time() - told_at >= SILENCE_SECONDS:
            told, told_at = queued, loop.time()
            yield queued


async def _break_silence(
    events: AsyncGenerator[EnginePiece | Finished, None],
) -> AsyncGenerator[EnginePiece | Finished, None]:
    """Yield a reply's events, and an empty piece now and then before the first: reading a long prompt takes minutes."""
    async with aclosing(events):
        first = asyncio.ensure_future(anext(events))
        try:
            while not (await asyncio.wait([first], timeout=SILENCE_SECONDS))[0]:
                yield NOTHING_YET
        except BaseException:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            raise
        yield first.result()
        async for event in events:
            yield event


def _reserve(job: Job) -> int:
    """Say how many tokens of the context the reply would like to have, for the fitting."""
    return job.reply_tokens if job.reply_tokens > 0 else job.context_tokens // OPEN_ENDED_SHARE


def _size(job: Job) -> Size:
    """Say what is known of a job before its prompt is fitted."""
    return Size(
        prompt_bytes=sum(len(message.content.encode()) for message in job.messages),
        context_tokens=job.context_tokens,
        reply_tokens=job.reply_tokens if job.reply_tokens > 0 else job.context_tokens,
        choices=job.choices,
        is_endless=job.sampling.ignore_eos or job.reply_tokens == UNTIL_CONTEXT_IS_FULL,
    )


def _bounded(job: Job, prompt_tokens: int, choice: int) -> SamplingOptions:
    """Bound the reply by what the prompt leaves of the context; each choice has a seed of its own."""
    room = max(1, job.context_tokens - prompt_tokens)
    wanted = job.reply_tokens if job.reply_tokens > 0 else room
    return replace(
        job.sampling,
        seed=derive_seed(job.sampling.seed, choice),
        max_tokens=min(wanted, room),
        ignore_eos=job.sampling.ignore_eos or job.reply_tokens == UNTIL_CONTEXT_IS_FULL,
        shown_tokens=() if job.tools is None else SHOWN_TOKENS,
    )
