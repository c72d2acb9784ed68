"""Knows which texts the loaded model's tokenizer turns into control tokens.

Owns: collecting them from the file and from the engine. Does not own: keeping them out of prompts (`neutralise.py`).
"""

import re
from collections import Counter
from collections.abc import Awaitable, Callable

from generation.gguf_file import GgufHeader, TokenKind
from generation.neutralise import ControlTexts

Tokenize = Callable[..., Awaitable[list[int]]]
"""`(content, *, parse_special) -> ids`, content being a text or a list of texts."""

_SPECIAL_KINDS = frozenset((TokenKind.UNKNOWN, TokenKind.CONTROL, TokenKind.USER_DEFINED))
_LOOKS_SPECIAL = re.compile(r"[\s▁_]?[<\[].+[>\]]", re.DOTALL)
_MOST_CANDIDATES = 20_000


async def find_control_texts(header: GgufHeader, tokenize: Tokenize) -> ControlTexts:
    """Collect every text that the engine makes one special token of.

    The file says most of them. llama.cpp also promotes some that a file forgot to mark (`<|eot_id|>`, `<|im_end|>` and
    others, see `llama-vocab.cpp`); the list changes with its releases, so the engine is asked.
    """
    marked, candidates = _split_vocabulary(header)
    return ControlTexts(marked | await _find_promoted(header, candidates, tokenize))


def _split_vocabulary(header: GgufHeader) -> tuple[set[str], list[str]]:
    """Tell texts marked as special from ordinary ones that look like it.

    White space marked as user-defined (Gemma's runs of line ends) is ordinary text: it steers nothing.
    """
    marked: set[str] = set()
    candidates: list[str] = []
    kinds = header.token_kinds or (int(TokenKind.NORMAL),) * len(header.tokens)
    for token, kind in zip(header.tokens, kinds, strict=False):
        if kind != TokenKind.NORMAL and kind not in _SPECIAL_KINDS:
            continue
        text = token.decode(errors="replace")
        if kind in _SPECIAL_KINDS:
            if text.strip(" \t\r\n▁"):
                marked.add(text)
        elif _LOOKS_SPECIAL.fullmatch(text):
            candidates.append(text)
    return marked, candidates[:_MOST_CANDIDATES]


async def _find_promoted(header: GgufHeader, candidates: list[str], tokenize: Tokenize) -> set[str]:
    if not candidates:
        return set()
    with_special = Counter(await tokenize(candidates, parse_special=True))
    without = Counter(await tokenize(candidates, parse_special=False))
    texts = set(candidates)
    more = (header.tokens[token].decode(errors="replace") for token in with_special - without)
    return {text for text in more if text in texts}
