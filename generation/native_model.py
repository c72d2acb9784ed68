"""The ctransformers library itself: a loaded model, its plain tokenizer, and contexts that compute.

Imported in the engine's child process only: it loads native code of September 2023. Owns: every call into that library,
each sized so that its faults cannot be reached. Does not own: threads, the order of calls (`ctransformers_child.py`).

ctransformers' own `tokenize` gives the native function one place per character, while a character without a token of
its own becomes up to four byte tokens: forty emoji wrote beyond the buffer, a thousand aborted the interpreter. Here
the buffer has a place per byte.
"""

import ctypes
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ctransformers import LLM, Config
from numpy.typing import NDArray

from generation.gguf_file import GgufHeader

_EXTRA_PLACES = 8
"""For the space and the begin-of-text token that the native function may add."""

_GUARD_CHARACTERS = (*map(chr, range(1, 9)), *map(chr, range(0xE000, 0xE100)))


class NativeModel:
    """One loaded copy of a model. Copies of one file share its weights through the page cache.

    Raises `RuntimeError` when the library refuses the file; it may also end the process.
    """

    def __init__(self, path: Path, *, context_tokens: int, threads: int) -> None:
        self._model = LLM(
            str(path), "gguf", config=Config(context_length=context_tokens, threads=threads), lib=_find_build()
        )
        self._threads = threads
        self._computed: list[int] = []

    @property
    def bos(self) -> int:
        """The token that begins a text."""
        return int(self._model.bos_token_id)

    @property
    def eos(self) -> int:
        """The token that ends a text."""
        return int(self._model.eos_token_id)

    @property
    def vocabulary_size(self) -> int:
        """How many logits a token has."""
        return int(self._model.vocab_size)

    def count_cached(self, tokens: Sequence[int]) -> int:
        """Count the leading tokens that need not be computed again; the last always is, for its logits."""
        pairs = zip(tokens, self._computed, strict=False)
        same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        return min(same, len(tokens) - 1)

    def compute(self, tokens: Sequence[int], *, at_most: int) -> bool:
        """Compute up to so many tokens more of a text; returns whether all of it is computed now."""
        start = self.count_cached(tokens)
        end = min(len(tokens), start + at_most)
        self._computed = list(tokens[:start])
        self._extend(tokens[start:end])
        return end == len(tokens)

    def compute_next(self, token: int) -> None:
        """Compute one token more of the text that is computed."""
        self._extend([token])

    def _extend(self, tokens: Sequence[int]) -> None:
        count, done = len(tokens), len(self._computed)
        batch = (ctypes.c_int * count)(*tokens)
        if not self._model.ctransformers_llm_batch_eval(batch, count, done, count, self._threads):
            raise MemoryError("the native library could not compute")
        self._computed += tokens

    def get_logits(self) -> NDArray[np.float32]:
        """Copy the logits after the last computed token, shape (vocabulary,)."""
        data = self._model.ctransformers_llm_logits_data()
        return np.ctypeslib.as_array(data, (self._model.ctransformers_llm_logits_size(),)).copy()

    def tokenize_native(self, data: bytes) -> list[int]:
        """Call the native tokenizer, which puts a space first; `data` holds no NUL, where C would end it."""
        places = (ctypes.c_int * (len(data) + _EXTRA_PLACES))()
        count = self._model.ctransformers_llm_tokenize(data, False, places)  # noqa: FBT003 - the C function's own
        assert count <= len(places)
        return places[:count]


class PlainTokenizer:
    """Tokenizes text as it stands, without the space that the native tokenizer puts first.

    A guard character goes before the text and its tokens are taken off again: one that occurs in no token but its own,
    so that it never joins with what follows.
    """

    def __init__(self, model: NativeModel, header: GgufHeader) -> None:
        self._model = model
        joined = b"\n".join(header.tokens).decode(errors="replace")
        self._guard = next(character for character in _GUARD_CHARACTERS if character not in joined)
        self._guard_tokens = model.tokenize_native(self._guard.encode())
        self._nul = [header.tokens.index(b"<0x00>")] if b"<0x00>" in header.tokens else []

    def tokenize(self, text: str) -> list[int]:
        """Tokenize any text, NUL and lone surrogates included."""
        tokens: list[int] = []
        for number, part in enumerate(text.split("\x00")):
            tokens += self._nul if number else []
            tokens += self._tokenize_part(part) if part else []
        return tokens

    def _tokenize_part(self, part: str) -> list[int]:
        tokens = self._model.tokenize_native((self._guard + part).encode(errors="replace"))
        assert tokens[: len(self._guard_tokens)] == self._guard_tokens
        return tokens[len(self._guard_tokens) :]


def _find_build() -> str | None:
    """Choose the library's build for this processor; None leaves it to the package, which needs a second for it."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text().partition("\nflags")[2].partition("\n")[0].split())
    except OSError:
        return None
    if not flags:
        return None
    if "avx2" in flags:
        return "avx2"
    return "avx" if {"avx", "f16c"} <= flags else "basic"
