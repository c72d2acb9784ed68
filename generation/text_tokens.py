"""Knows a SentencePiece vocabulary: the bytes of each token, which are special, and how text is split around those.

Owns: what llama.cpp does before and after its tokenizer proper, so that both engines read the same prompt as the same
tokens (`llama_vocab::impl::tokenize` in llama.cpp's `llama-vocab.cpp`). Does not own: that tokenizer; it is given one.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from generation.gguf_file import GgufHeader, TokenKind

TokenizePlain = Callable[[str], list[int]]
"""Splits a text that holds no special token, adding nothing to it."""

_SPACE = "▁"
_BYTE = re.compile(rb"<0x([0-9A-F]{2})>")

_ENDS = frozenset((
    "</s>", "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<end_of_turn>", "<|endoftext|>",
    "<|end_of_text|>", "<|eom_id|>", "<EOT>", "_<EOT>", "< EOT >",
))  # fmt: skip
"""Texts that llama.cpp takes for the end of a reply whatever the file says of them."""


class TextTokens:
    """One loaded model's vocabulary. `bos` begins a prompt where the file wants it; `eos` is one of the ends."""

    def __init__(self, header: GgufHeader, *, bos: int, eos: int, tokenize_plain: TokenizePlain) -> None:
        self.tokenize_plain = tokenize_plain
        self._bos = bos
        self._adds_bos = header.adds_bos
        self._adds_space_prefix = header.adds_space_prefix
        kinds = header.token_kinds or (int(TokenKind.NORMAL),) * len(header.tokens)
        texts = [token.decode(errors="replace") for token in header.tokens]
        self.texts: Sequence[str] = texts
        self.ends = frozenset({eos, *(token for token, text in enumerate(texts) if text in _ENDS)})
        self.bytes = tuple(
            _spell(token, kind, is_end=number in self.ends)
            for number, (token, kind) in enumerate(zip(header.tokens, kinds, strict=True))
        )
        control = (TokenKind.CONTROL, TokenKind.UNKNOWN)
        self._control = _longest_first(
            (text, token)
            for token, (text, kind) in enumerate(zip(texts, kinds, strict=True))
            if kind in control or token in self.ends
        )
        self._user_defined = _longest_first(
            (text, token)
            for token, (text, kind) in enumerate(zip(texts, kinds, strict=True))
            if kind == TokenKind.USER_DEFINED and token not in self.ends
        )

    def tokenize(
        self, content: str | Sequence[str | int], *, add_special: bool = False, parse_special: bool = False
    ) -> list[int]:
        """Tokenize a text, or texts apart from each other with ready token ids between, as llama.cpp's server does."""
        parts = [content] if isinstance(content, str) else content
        tokens: list[int] = [self._bos] if add_special and self._adds_bos else []
        for part in parts:
            tokens += [part] if isinstance(part, int) else self._tokenize_text(part, parse_special=parse_special)
        return tokens

    def _tokenize_text(self, text: str, *, parse_special: bool) -> Iterator[int]:
        specials = _longest_first([*self._control, *self._user_defined]) if parse_special else self._user_defined
        is_after_special = True
        for fragment in _split_at(text, specials):
            if isinstance(fragment, int):
                yield fragment
                is_after_special = True
                continue
            prefix = " " if self._adds_space_prefix and is_after_special else ""
            yield from self.tokenize_plain(prefix + fragment)
            is_after_special = False


def _spell(token: bytes, kind: int, *, is_end: bool) -> bytes:
    if kind == TokenKind.BYTE and (match := _BYTE.fullmatch(token)):
        return bytes([int(match[1], 16)])
    if is_end or kind in (TokenKind.CONTROL, TokenKind.UNKNOWN, TokenKind.UNUSED):
        return b""
    return token.replace(_SPACE.encode(), b" ")


def _longest_first(specials: Iterator[tuple[str, int]] | Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted(((text, token) for text, token in specials if text), key=lambda special: -len(special[0]))


def _split_at(text: str, specials: Sequence[tuple[str, int]]) -> list[str | int]:
    """Put each special text's id in its place: the longest everywhere first, then shorter ones in what is left."""
    fragments: list[str | int] = [text] if text else []
    for special, token in specials:
        if special not in text:
            continue
        split: list[str | int] = []
        for fragment in fragments:
            split += [fragment] if isinstance(fragment, int) else _replace(fragment, special, token)
        fragments = split
    return fragments


def _replace(fragment: str, special: str, token: int) -> Iterator[str | int]:
    for number, rest in enumerate(fragment.split(special)):
        if number:
            yield token
        if rest:
            yield rest
