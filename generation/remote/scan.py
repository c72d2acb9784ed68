"""Finds the control tokens of a model whose file is not here, by asking the server for the text of every token.

Owns: reading a vocabulary over the wire, and which of its tokens are control tokens. Does not own: keeping them out of
prompts (`generation/neutralise.py`).
"""

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from generation.client import EngineRefusedError
from generation.encoder import Tokenizer
from generation.errors import EngineUnavailableError
from generation.neutralise import ControlTexts
from generation.remote.facts import Facts, Kind
from generation.remote.vllm_tokenizer import VllmTokenizer
from generation.server_tokenizer import Post, ServerTokenizer

_LOOKS_SPECIAL = re.compile(r"[\s▁_]?(?:<.+>|\[.+\])|\|\|\|.+\|\|\|", re.DOTALL)
"""Every control token that models are known to be trained with is written in one of these brackets."""

_BATCH = 8192
_MOST_TOKENS = 1 << 19
"""The largest vocabularies have 262,144."""

_SURROUNDINGS = ("({})", "{0}{0}", "-{}=")
_IN_SURROUNDINGS = 4
"""How often a text stands in them. What a tokenizer finds first, before it looks at words, it finds in all."""

_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What prompts have to be encoded with.

    `adds_space_prefix` says that the tokenizer puts a space before every text, `spares` are ids and texts of control
    tokens that can hold fragments apart.
    """

    control_texts: ControlTexts = field(default_factory=lambda: ControlTexts(()))
    adds_space_prefix: bool = False
    spares: tuple[tuple[int, str], ...] = ()

    @property
    def separators(self) -> tuple[tuple[int, str], ...] | None:
        """What `PromptEncoder` wants to hold fragments apart with; None where nothing needs to."""
        return self.spares if self.adds_space_prefix else None


async def read_vocabulary(facts: Facts, post: Post) -> Vocabulary:
    """Read a server's vocabulary; raises `EngineUnavailableError`."""
    match facts.kind:
        case Kind.LLAMA_SERVER:
            return await _read(_LlamaServer(post), count=facts.vocabulary_size or _MOST_TOKENS)
        case Kind.VLLM:
            return await _read(_Vllm(post, model=facts.upstream), count=_MOST_TOKENS)
        case Kind.CHAT:
            return Vocabulary()


class _Server(ABC):
    """What a vocabulary can be read through."""

    tokenizer: Tokenizer

    @abstractmethod
    async def detokenize(self, ids: Sequence[int]) -> str:
        """Give the text of token ids, control tokens in it; raises `EngineRefusedError` for an id that there is not."""

    @abstractmethod
    async def spell(self, text: str) -> list[tuple[int, str]] | None:
        """Tokenize, control tokens included, and give each token's text, too; None where the server cannot."""

    @abstractmethod
    async def finds_space_prefix(self) -> bool:
        """Say whether a space is put before every text."""


class _LlamaServer(_Server):
    def __init__(self, post: Post) -> None:
        self._post = post
        self.tokenizer = ServerTokenizer(post)

    async def detokenize(self, ids: Sequence[int]) -> str:
        text: str = (await self._post("/detokenize", {"tokens": list(ids)}))["content"]
        return text

    async def spell(self, text: str) -> list[tuple[int, str]] | None:
        body = {"content": text, "parse_special": True, "with_pieces": True}
        tokens = (await self._post("/tokenize", body))["tokens"]
        # The piece of half a character is a list of bytes.
        return [(each["id"], each["piece"]) for each in tokens if isinstance(each["piece"], str)]

    async def finds_space_prefix(self) -> bool:
        return (await self.detokenize(await self.tokenizer.tokenize("a"))).startswith(" ")


class _Vllm(_Server):
    def __init__(self, post: Post, *, model: str) -> None:
        self._post = post
        self._model = model
        self._vllm = VllmTokenizer(post, model=model)
        self.tokenizer = self._vllm

    async def detokenize(self, ids: Sequence[int]) -> str:
        try:
            return await self._vllm.detokenize(ids)
        except EngineUnavailableError as error:
            if isinstance(error.__cause__, EngineRefusedError):
                raise error.__cause__ from None
            raise

    async def spell(self, text: str) -> list[tuple[int, str]] | None:
        body = {"model": self._model, "prompt": text, "add_special_tokens": False, "return_token_strs": True}
        document = await self._post("/tokenize", body)
        if not isinstance(document.get("token_strs"), list):
            return None
        return list(zip(document["tokens"], document["token_strs"], strict=True))

    async def finds_space_prefix(self) -> bool:
        # Its text does not show the space: tokenizers take it off again.
        alone, after = await self._vllm.tokenize("a"), await self._vllm.tokenize("\na")
        return alone != after[len(await self._vllm.tokenize("\n")) :]


async def _read(server: _Server, *, count: int) -> Vocabulary:
    line_end = (await server.tokenizer.tokenize("\n"))[-1]
    candidates = await _find_candidates(server, line_end, count=count)
    control: dict[str, int | None] = {}
    for at in range(0, len(candidates), _AT_ONCE):
        control |= await _find_indivisible(server, candidates[at : at + _AT_ONCE])
    return Vocabulary(
        control_texts=ControlTexts(control),
        adds_space_prefix=await server.finds_space_prefix(),
        spares=tuple((token, text) for text, token in control.items() if token is not None),
    )


async def _find_candidates(server: _Server, line_end: int, *, count: int) -> list[str]:
    """Give the texts of all tokens that look like control tokens; each is asked for with a line end behind it."""
    found: dict[str, None] = {}
    for start in range(0, count, _BATCH):
        ids = range(start, min(start + _BATCH, count))
        text = await _detokenize_known(server, ids, line_end)
        if not text.strip("\n"):
            # Behind the vocabulary's end: some servers say so, others leave unknown ids out.
            break
        found.update(dict.fromkeys(line for line in text.split("\n") if _LOOKS_SPECIAL.fullmatch(line)))
    return list(found)


async def _detokenize_known(server: _Server, ids: range, line_end: int) -> str:
    """Give the texts of ids, of which the last may not exist, a line each."""
    while ids:
        try:
            return await server.detokenize([part for token in ids for part in (token, line_end)])
        except EngineRefusedError:
            ids = ids[: await _count_known(server, ids)]
    return ""


async def _count_known(server: _Server, ids: range) -> int:
    """Count the ids that exist, which are the first ones."""
    known, unknown = 0, len(ids) - 1
    while known < unknown:
        middle = (known + unknown) // 2
        try:
            await server.detokenize([ids[middle]])
        except EngineRefusedError:
            unknown = middle
        else:
            known = middle + 1
    return known


async def _find_indivisible(server: _Server, candidates: Sequence[str]) -> dict[str, int | None]:
    """Keep the texts that stay one token wherever they stand, with its id. A word does so by chance at most."""
    text = "\n".join(each.format(candidate) for candidate in candidates for each in _SURROUNDINGS)
    spelled = await server.spell(text)
    if spelled is None:
        return dict.fromkeys(candidates)
    counts = Counter(piece for _, piece in spelled)
    ids = {piece: token for token, piece in spelled}
    return {each: ids[each] for each in candidates if counts[each] >= _IN_SURROUNDINGS}
