import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.engine import Message, Role
from generation.errors import PromptTooLongError
from generation.fitting import ContextFitter, FittedPrompt, Tools
from generation.llama_cpp import LlamaCppEngine
from tests.generation.asking import ask, options


class WordEncoder:
    """One token a word; a message costs three more for its role and borders, the reply's beginning one."""

    def __init__(self) -> None:
        self.texts_counted = 0
        self.longest_encoded = 0

    async def encode_chat(self, messages: Sequence[Message], tools: Tools = ()) -> list[int]:
        tokens: list[int] = []
        for message in messages:
            tokens += [1, 2, *await self._words(message.content), 3]
        self.longest_encoded = max(self.longest_encoded, len(tokens))
        return [*tokens, 4]

    async def encode_text(self, text: str) -> list[int]:
        self.texts_counted += 1
        return await self._words(text)

    async def _words(self, text: str) -> list[int]:
        return [10 + hash(word) % 1_000_000 for word in text.split()]


def fit(messages: Sequence[Message], *, context: int, reply: int, fitter: ContextFitter | None = None) -> FittedPrompt:
    fitter = fitter or ContextFitter(WordEncoder())
    return asyncio.run(fitter.fit(messages, context_tokens=context, reply_tokens=reply))


def words(count: int, name: str = "w") -> str:
    return " ".join(f"{name}{at}" for at in range(count))


def dialogue(turns: int, words_each: int = 20) -> list[Message]:
    """A system message and whole turns of a user and an assistant, ending with a user's question."""
    messages = [Message("system", words(5, "s"))]
    for turn in range(turns):
        messages.append(Message("user", words(words_each, f"u{turn}-")))
        if turn < turns - 1:
            messages.append(Message("assistant", words(words_each, f"a{turn}-")))
    return messages


roles: tuple[Role, ...] = ("system", "user", "assistant")
any_conversation = st.lists(
    st.builds(Message, st.sampled_from(roles), st.integers(0, 30).map(words)), min_size=1, max_size=40
)


@settings(max_examples=200, deadline=None)
@given(messages=any_conversation, context=st.integers(64, 400), reply=st.integers(1, 400))
def test_the_prompt_fits_keeps_the_ends_and_drops_whole_turns(
    messages: list[Message], context: int, reply: int
) -> None:
    encoder = WordEncoder()
    whole = asyncio.run(encoder.encode_chat(messages))
    try:
        fitted = fit(messages, context=context, reply=reply)
    except PromptTooLongError as error:
        refusal = (error.prompt_tokens, error.limit_tokens)
        assert refusal[0] > refusal[1] == context - 1
        return
    budget = context - min(reply, context // 2)
    assert len(fitted.prompt) < context
    if len(whole) <= budget:
        assert fitted.dropped_messages == 0
    system = next((at for at, message in enumerate(messages) if message.role != "system"), len(messages))
    kept = [*messages[:system], *messages[system + fitted.dropped_messages :]]
    assert fitted.prompt == asyncio.run(encoder.encode_chat(kept))
    users = [at for at, message in enumerate(messages) if message.role == "user"]
    if fitted.dropped_messages and users:
        first_kept = system + fitted.dropped_messages
        assert messages[first_kept].role == "user"
        assert first_kept <= users[-1]
    if len(fitted.prompt) > budget:
        turns_kept = sum(message.role == "user" for message in messages[system + fitted.dropped_messages :])
        assert turns_kept <= 1


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 25), min_size=30, max_size=60),
    context=st.integers(200, 500),
    reply=st.integers(1, 100),
)
def test_as_a_conversation_grows_the_cut_moves_seldom_and_prompts_extend_each_other(
    sizes: list[int], context: int, reply: int
) -> None:
    asyncio.run(_grow(sizes, context, reply))


async def _grow(sizes: list[int], context: int, reply: int) -> None:
    fitter = ContextFitter(WordEncoder())
    messages = [Message("system", words(6, "s"))]
    hello = [*messages, Message("user", "hello")]
    before = await fitter.fit(hello, context_tokens=context, reply_tokens=reply)
    moves, spoken = 0, 0
    for turn, size in enumerate(sizes):
        messages += [Message("user", words(size, f"u{turn}-")), Message("assistant", words(size, f"a{turn}-"))]
        spoken += 2 * size + 6
        question = Message("user", f"question {turn}")
        fitted = await fitter.fit([*messages, question], context_tokens=context, reply_tokens=reply)
        assert fitted.dropped_messages >= before.dropped_messages
        if fitted.dropped_messages == before.dropped_messages:
            # The reply's beginning and the last question are new each time; all before is the same.
            shared = len(before.prompt) - 6
            assert fitted.prompt[:shared] == before.prompt[:shared]
        else:
            moves += 1
        before = fitted
    budget = context - min(reply, context // 2)
    largest_turn = 2 * 25 + 2 * 11
    step = max(1, (budget - 6 - 11) // 2 - largest_turn)
    estimated = spoken + 10 * len(sizes)
    assert moves <= estimated // step + 1


def test_a_cut_frees_about_half_of_the_window() -> None:
    fitter = ContextFitter(WordEncoder())
    cuts: dict[int, int] = {}
    for turns in range(1, 40):
        fitted = fit(dialogue(turns), context=500, reply=50, fitter=fitter)
        cuts.setdefault(fitted.dropped_messages, len(fitted.prompt))
    lengths_after_a_cut = [length for dropped, length in cuts.items() if dropped]
    assert 4 <= len(lengths_after_a_cut) <= 12
    assert all(120 <= length <= 320 for length in lengths_after_a_cut)


def test_a_conversation_that_fits_is_left_alone_and_nothing_is_counted() -> None:
    encoder = WordEncoder()
    fitted = fit(dialogue(3), context=1000, reply=100, fitter=ContextFitter(encoder))
    assert fitted.dropped_messages == 0
    assert encoder.texts_counted == 0


def test_messages_are_counted_once() -> None:
    encoder = WordEncoder()
    fitter = ContextFitter(encoder)
    for _ in range(3):
        fit(dialogue(20), context=300, reply=50, fitter=fitter)
    assert encoder.texts_counted == len(dialogue(20))


def test_a_conversation_of_many_windows_is_never_encoded_whole() -> None:
    encoder = WordEncoder()
    fitter = ContextFitter(encoder)
    fitted = fit(dialogue(200), context=300, reply=50, fitter=fitter)
    assert fitted.dropped_messages > 300
    assert encoder.longest_encoded < 300


def test_a_long_last_turn_is_answered_with_what_room_is_left() -> None:
    messages = [Message("system", words(5)), Message("user", "hi"), Message("user", words(80))]
    fitted = fit(messages, context=100, reply=50)
    assert fitted.dropped_messages == 1
    assert len(fitted.prompt) == 5 + 3 + 80 + 3 + 1


def test_a_last_turn_beyond_the_context_is_refused_with_both_numbers() -> None:
    messages = [Message("user", "hi"), Message("assistant", "yo"), Message("user", words(100))]
    with pytest.raises(PromptTooLongError) as caught:
        fit(messages, context=100, reply=10)
    assert (caught.value.prompt_tokens, caught.value.limit_tokens) == (104, 99)


@pytest.mark.parametrize("role", roles)
def test_one_message_too_long_is_refused_whatever_its_role(role: Role) -> None:
    with pytest.raises(PromptTooLongError):
        fit([Message(role, words(100))], context=100, reply=10)


def test_a_conversation_may_end_with_the_assistant() -> None:
    messages = [*dialogue(20), Message("assistant", "Well, I")]
    fitted = fit(messages, context=300, reply=50)
    assert 0 < fitted.dropped_messages < len(messages) - 3


def test_a_conversation_may_begin_with_the_assistant_or_have_no_user() -> None:
    greeting = [Message("assistant", words(50)), Message("user", words(30)), Message("user", words(30, "x"))]
    assert fit(greeting, context=120, reply=20).dropped_messages == 1
    alone = [Message("assistant", words(50, f"m{at}")) for at in range(5)]
    assert fit(alone, context=150, reply=20).dropped_messages == 3


@pytest.mark.asyncio(loop_scope="session")
async def test_a_growing_conversation_stays_cached_in_the_engine(engine: LlamaCppEngine) -> None:
    fitter = ContextFitter(engine)
    messages = [Message("system", "You keep it short.")]
    computed, prompts = [], []
    for turn in range(24):
        messages.append(Message("user", f"This is what I say in turn {turn}, some words more."))
        fitted = await fitter.fit(messages, context_tokens=1024, reply_tokens=40)
        pieces, end = await ask(engine, fitted.prompt, options(max_tokens=30, seed=turn))
        computed.append(end.prompt_tokens - end.cached_tokens)
        prompts.append(fitted)
        messages.append(Message("assistant", "".join(piece.text for piece in pieces).replace("�", "")))
    cuts = sum(a.dropped_messages != b.dropped_messages for a, b in pairwise(prompts))
    assert 1 <= cuts <= 6
    expensive = [count for count in computed[1:] if count > 250]
    assert len(expensive) <= cuts
