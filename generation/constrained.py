"""Holds a reply to a JSON Schema, token by token, for engines that compute logits only.

The work is done by llguidance, the library that the packaged llama.cpp is built with too. Owns: which tokens a schema
allows next, and whether it allows any. Does not own: the draw.

https://github.com/guidance-ai/llguidance
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper
from numpy.typing import NDArray

_TRIED_STEPS = 3


class SchemaUnusableError(Exception):
    """No reply can be held to this JSON Schema."""


class _Vocabulary:
    """What llguidance asks of a tokenizer."""

    def __init__(self, tokens: Sequence[bytes], ends: Sequence[int], tokenize: Callable[[str], list[int]]) -> None:
        self._tokenize = tokenize
        self.eos_token_id = ends[0]
        self.bos_token_id = None
        self.tokens = list(tokens)
        self.special_token_ids = [token for token, data in enumerate(tokens) if not data]

    def __call__(self, text: bytes) -> list[int]:
        """Tokenize a text that a schema forces, as the model would write it."""
        return self._tokenize(text.decode(errors="replace"))


class Constraint:
    """The state of one constrained reply."""

    def __init__(self, matcher: LLMatcher, vocabulary_size: int) -> None:
        self._matcher = matcher
        self._vocabulary_size = vocabulary_size

    def allowed(self) -> NDArray[np.bool_]:
        """Say which tokens may come next, shape (vocabulary,)."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        mask = np.unpackbits(bits, bitorder="little", count=self._vocabulary_size).astype(bool)
        self._require_sound()
        return mask

    def accept(self, token: int) -> None:
        """Take in the token that was drawn."""
        self._matcher.consume_token(token)
        self._require_sound()

    @property
    def is_complete(self) -> bool:
        """Whether nothing but the end can follow."""
        return bool(self._matcher.is_stopped())

    def _require_sound(self) -> None:
        if self._matcher.is_error():
            raise SchemaUnusableError


class Constrainer:
    """Makes constraints over one vocabulary; `ends` are the tokens that end a reply."""

    def __init__(self, tokens: Sequence[bytes], ends: Sequence[int], tokenize: Callable[[str], list[int]]) -> None:
        self._vocabulary_size = len(tokens)
        self._tokenizer = LLTokenizer(
            TokenizerWrapper(_Vocabulary(tokens, ends, tokenize)), n_vocab=len(tokens), eos_token=list(ends)
        )

    def start(self, schema: Mapping[str, Any]) -> Constraint:
        """Begin a reply; raises `SchemaUnusableError`."""
        try:
            grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema))
        except ValueError as error:
            raise SchemaUnusableError from error
        matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise SchemaUnusableError
        self._try_start(Constraint(matcher.deep_copy(), self._vocabulary_size))
        return Constraint(matcher, self._vocabulary_size)

    def _try_start(self, constraint: Constraint) -> None:
        """Go a few steps: a schema that forces nesting without end fails with its first token, not before."""
        for _ in range(_TRIED_STEPS):
            allowed = np.flatnonzero(constraint.allowed())
            if not len(allowed):
                raise SchemaUnusableError
            constraint.accept(int(allowed[0]))
            if constraint.is_complete:
                return


def make_byte_constrainer() -> Constrainer:
    """Make one over bytes, to find out whether a schema is usable at all where the vocabulary lies with a server."""
    return Constrainer([*(bytes([byte]) for byte in range(256)), b""], [256], lambda text: list(text.encode()))
