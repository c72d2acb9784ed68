"""Finds the control tokens of a model whose file is not here, by asking the server for the text of every token.

Owns: reading a vocabulary over the wire, and which of its tokens are control tokens. Does not own: keeping them out of
prompts (`generation/neutralise.py`).
"""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from generation.client import EngineRefusedError
from generation.errors import EngineUnavailableError
from generation.neutralise import ControlTexts
from generation.remote.facts import Facts, Kind
from generation.remote.vllm_tokenizer import VllmTokenizer
from generation.server_tokenizer import Post, ServerTokenizer

Detokenize = Callable[[Sequence[int]], Awaitable[str]]

_LOOKS_SPECIAL = re.compile(r"[\s▁_]?(?:<.+>|\[.+\])|\|\|\|.+\|\|\|", re.DOTALL)
"""Every control token that models are known to be trained with is written in one of these brackets."""

_BATCH = 8192
_MOST_TOKENS = 1 << 19
"""The largest vocabularies have 262,144."""

_SURROUNDINGS = ("({})", "{0}{0}", "-{}=")
_IN_SURROUNDINGS = 4
"""How often a text stands in them. What a tokenizer finds first, before it looks at words, it finds in all."""

_AT_ONCE = 200


async def read_vocabulary(facts: Facts, post: Post) -> tuple[ControlTexts, bool, tuple[tuple[int, str], ...]]:
    """Give the control tokens, whether a space is put before every text, and tokens that can hold fragments apart.

    Raises `EngineUnavailableError`.
    """
    match facts.kind:
        case Kind.LLAMA_SERVER:
            return await _read_llama_server(facts, post)
        case Kind.VLLM:
            return await _read_vllm(facts, post)
        case Kind.CHAT:
            return ControlTexts(()), False, ()


async def _read_llama_server(facts: Facts, post: Post) -> tuple[ControlTexts, bool, tuple[tuple[int, str], ...]]:
    tokenizer = ServerTokenizer(post)

    async def detokenize(ids: Sequence[int]) -> str:
        text: str = (await post("/detokenize", {"tokens": list(ids)}))["content"]
        return text

    line_end = (await tokenizer.tokenize("\n"))[-1]
    candidates = await _find_candidates(detokenize, line_end, count=facts.vocabulary_size or _MOST_TOKENS)
    with_special = Counter(await tokenizer.tokenize(candidates, parse_special=True)) if candidates else Counter[int]()
    without = Counter(await tokenizer.tokenize(candidates)) if candidates else Counter[int]()
    control = sorted(with_special - without)
    texts = await _spell(detokenize, control, line_end)
    starts_with_space = (await detokenize(await tokenizer.tokenize("a"))).startswith(" ")
    return ControlTexts(texts), starts_with_space, tuple(zip(control, texts, strict=True))


async def _read_vllm(facts: Facts, post: Post) -> tuple[ControlTexts, bool, tuple[tuple[int, str], ...]]:
    tokenizer = VllmTokenizer(post, model=facts.upstream)
    line_end = (await tokenizer.tokenize("\n"))[-1]
    candidates = await _find_candidates(tokenizer.detokenize, line_end, count=_MOST_TOKENS)
    control: list[str] = []
    for at in range(0, len(candidates), _AT_ONCE):
        some = candidates[at : at + _AT_ONCE]
        control += await _find_indivisible(some, facts.upstream, post)
    starts_with_space = (await tokenizer.detokenize(await tokenizer.tokenize("a"))).startswith(" ") or (
        await tokenizer.tokenize("a") != (await tokenizer.tokenize("\na"))[len(await tokenizer.tokenize("\n")) :]
    )
    return ControlTexts(control), starts_with_space, ()


async def _find_candidates(detokenize: Detokenize, line_end: int, *, count: int) -> list[str]:
    """Give the texts of all tokens that look like control tokens; each is asked for with a line end behind it."""
    found: dict[str, None] = {}
    for start in range(0, count, _BATCH):
        ids = range(start, min(start + _BATCH, count))
        text = await _detokenize_known(detokenize, [part for token in ids for part in (token, line_end)])
        if not text.strip("\n"):
            # Behind the vocabulary's end: some servers say so, others leave unknown ids out.
            break
        found.update(dict.fromkeys(line for line in text.split("\n") if _LOOKS_SPECIAL.fullmatch(line)))
    return list(found)


async def _detokenize_known(detokenize: Detokenize, ids: Sequence[int]) -> str:
    """Give the text of ids of which the last may not exist."""
    while ids:
        try:
            return await detokenize(ids)
        except (EngineRefusedError, EngineUnavailableError) as error:
            _require_refusal(error)
            ids = ids[: 2 * await _count_known(detokenize, ids[::2])]
    return ""


def _require_refusal(error: Exception) -> None:
    """Raise what is no answer to the question."""
    if not isinstance(error, EngineRefusedError) and not isinstance(error.__cause__, EngineRefusedError):
        raise error


async def _count_known(detokenize: Detokenize, ids: Sequence[int]) -> int:
    """Count the ids that exist, which are the first ones."""
    known, unknown = 0, len(ids)
    while known < unknown:
        middle = (known + unknown) // 2
        try:
            await detokenize([ids[middle]])
        except (EngineRefusedError, EngineUnavailableError) as error:
            _require_refusal(error)
            unknown = middle
        else:
            known = middle + 1
    return known


async def _spell(detokenize: Detokenize, ids: Sequence[int], line_end: int) -> list[str]:
    """Give the text of each id."""
    texts: list[str] = []
    for at in range(0, len(ids), _BATCH):
        some = ids[at : at + _BATCH]
        lines = (await detokenize([part for token in some for part in (token, line_end)])).split("\n")[:-1]
        texts += lines if len(lines) == len(some) else [await detokenize([token]) for token in some]
    return texts


async def _find_indivisible(candidates: Sequence[str], model: str, post: Post) -> list[str]:
    """Keep the texts that stay one token wherever they stand: an ordinary word does not, but for chance."""
    text = "\n".join(each.format(candidate) for candidate in candidates for each in _SURROUNDINGS)
    body = {"model": model, "prompt": text, "add_special_tokens": False, "return_token_strs": True}
    try:
        spelled = (await post("/tokenize", body)).get("token_strs")
    except EngineRefusedError:
        spelled = None
    if not isinstance(spelled, list):
        return list(candidates)
    counts = Counter(spelled)
    return [candidate for candidate in candidates if counts[candidate] >= _IN_SURROUNDINGS]
