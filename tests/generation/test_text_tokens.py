from dataclasses import replace

import pytest

from generation.gguf_file import GgufHeader, TokenKind
from generation.text_tokens import TextTokens

VOCABULARY = (
    ("<unk>", TokenKind.UNKNOWN),
    ("<s>", TokenKind.CONTROL),
    ("</s>", TokenKind.CONTROL),
    ("<|user|>", TokenKind.CONTROL),
    ("<|user|>x", TokenKind.CONTROL),
    ("<own>", TokenKind.USER_DEFINED),
    ("<|im_end|>", TokenKind.NORMAL),
    ("<0x41>", TokenKind.BYTE),
    ("▁the", TokenKind.NORMAL),
)
HEADER = GgufHeader(
    size_bytes=1, architecture="llama", trained_context=64, parameters=1, kv_bytes_per_token=1,
    tokens=tuple(text.encode() for text, _ in VOCABULARY), token_kinds=tuple(int(kind) for _, kind in VOCABULARY),
    tokenizer="llama", adds_space_prefix=False, adds_bos=True, chat_template=None,
)  # fmt: skip


def vocabulary(header: GgufHeader = HEADER) -> TextTokens:
    """Plain text becomes one token per character, from 1000 up."""
    return TextTokens(header, bos=1, eos=2, tokenize_plain=lambda text: [1000 + ord(character) for character in text])


def plain(text: str) -> list[int]:
    return [1000 + ord(character) for character in text]


def test_tokens_are_spelled_as_bytes_and_special_ones_say_nothing() -> None:
    assert vocabulary().bytes == (b"", b"", b"", b"", b"", b"<own>", b"", b"A", b" the")


def test_the_ends_are_the_files_own_and_those_llama_cpp_knows_by_their_text() -> None:
    assert vocabulary().ends == {2, 6}


def test_control_tokens_are_read_only_where_asked_for() -> None:
    text = "a<|user|>b<|im_end|>"
    assert vocabulary().tokenize(text) == plain(text)
    assert vocabulary().tokenize(text, parse_special=True) == [*plain("a"), 3, *plain("b"), 6]


def test_the_longest_special_text_wins_and_the_users_own_are_always_read() -> None:
    assert vocabulary().tokenize("<|user|>x<own>", parse_special=True) == [4, 5]
    assert vocabulary().tokenize("x<own>y") == [*plain("x"), 5, *plain("y")]


def test_the_beginning_is_marked_where_the_file_wants_it() -> None:
    assert vocabulary().tokenize("", add_special=True) == [1]
    assert vocabulary(replace(HEADER, adds_bos=False)).tokenize("", add_special=True) == []


@pytest.mark.parametrize(
    ("text", "expected"), [("a", plain(" a")), ("", []), ("<|user|>a<|user|>", [3, *plain(" a"), 3])]
)
def test_a_space_goes_before_text_that_begins_or_follows_a_special_token(text: str, expected: list[int]) -> None:
    assert vocabulary(replace(HEADER, adds_space_prefix=True)).tokenize(text, parse_special=True) == expected


def test_parts_and_ready_ids_are_put_one_after_the_other() -> None:
    assert vocabulary().tokenize(["a", 7, "b"], add_special=True) == [1, *plain("a"), 7, *plain("b")]
