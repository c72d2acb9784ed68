"""The model behind the stand-in for vLLM: a small byte-level vocabulary, ChatML, and replies of fixed words.

Its tokenizer does what Hugging Face's do: control tokens are found first, wherever they stand; words only after a space
or at a beginning. One ordinary word, `<div>`, looks like a control token.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "[TOOL_CALLS]")
WORDS = ("<div>", "hello", "sea", "is", "the", "wide", "and", "blue", "assistant", "user", "system")

_FIRST_WORD = 256
_FIRST_CONTROL = _FIRST_WORD + len(WORDS)
VOCABULARY_SIZE = _FIRST_CONTROL + len(CONTROL)

_SPLIT = re.compile("(" + "|".join(map(re.escape, CONTROL)) + ")")
_WORD = re.compile(r"(?:(?<=\s)|(?<![\s\S]))(" + "|".join(map(re.escape, WORDS)) + r")(?=\s|$)")

END = _FIRST_CONTROL + CONTROL.index("<|im_end|>")


def encode(text: str) -> list[int]:
    """Tokenize, control tokens included."""
    tokens: list[int] = []
    for part in _SPLIT.split(text):
        if part in CONTROL:
            tokens.append(_FIRST_CONTROL + CONTROL.index(part))
        else:
            tokens += _encode_plain(part)
    return tokens


def _encode_plain(text: str) -> Iterator[int]:
    at = 0
    for match in _WORD.finditer(text):
        yield from text[at : match.start()].encode()
        yield _FIRST_WORD + WORDS.index(match[0])
        at = match.end()
    yield from text[at:].encode()


def spell(token: int) -> bytes:
    """Give a token's bytes; raises `IndexError` behind the vocabulary's end."""
    if token < _FIRST_WORD:
        return bytes([token])
    if token < _FIRST_CONTROL:
        return WORDS[token - _FIRST_WORD].encode()
    return CONTROL[token - _FIRST_CONTROL].encode()


def decode(tokens: Sequence[int]) -> str:
    """Give the text of tokens."""
    return b"".join(map(spell, tokens)).decode(errors="replace")


def render(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> str:
    """Apply the chat template, ChatML with tools in a message of their own; raises `ValueError` for a strange role."""
    text = f"<|im_start|>system\nTools: {list(tools)}<|im_end|>\n" if tools else ""
    for message in messages:
        if message["role"] not in {"system", "user", "assistant", "tool"}:
            raise ValueError("role")
        text += f"<|im_start|>{message['role']}\n{message.get('content') or ''}<|im_end|>\n"
    return text + "<|im_start|>assistant\n"
