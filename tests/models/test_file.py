"""The model file and its card."""

import re
import string
from pathlib import Path

import pytest
from gguf import GGUFReader, TokenType

import models

FOLDER = Path(models.__file__).parent
MEBIBYTE = 1024 * 1024
CONTROL = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
TOKENS, TYPES = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"


@pytest.fixture(scope="module")
def model() -> GGUFReader:
    return GGUFReader(FOLDER / "demo.gguf")


def value(model: GGUFReader, key: str) -> object:
    field = model.get_field(key)
    assert field is not None, key
    return field.contents()


@pytest.fixture(scope="module")
def kinds(model: GGUFReader) -> dict[str, int]:
    tokens, types = value(model, TOKENS), value(model, TYPES)
    assert isinstance(tokens, list)
    assert isinstance(types, list)
    return dict(zip(tokens, types, strict=True))


def test_it_is_small() -> None:
    assert (FOLDER / "demo.gguf").stat().st_size <= 8 * MEBIBYTE


def test_its_metadata(model: GGUFReader) -> None:
    assert value(model, "general.architecture") == "llama"
    assert value(model, "general.name") == "Parley Demo"
    assert value(model, "general.license") == "mit"
    assert value(model, "llama.context_length") == 4096
    assert value(model, "tokenizer.ggml.model") == "llama"
    assert value(model, "tokenizer.ggml.add_space_prefix") is False
    assert value(model, "tokenizer.ggml.add_bos_token") is True


def test_its_template_writes_any_role(model: GGUFReader) -> None:
    template = str(value(model, "tokenizer.chat_template"))
    assert "<|end|>" in template
    assert "raise_exception" not in template


def test_turn_markers_are_control_tokens(model: GGUFReader, kinds: dict[str, int]) -> None:
    assert {kinds[marker] for marker in CONTROL} == {TokenType.CONTROL}
    tokens = list(kinds)
    assert tokens[int(str(value(model, "tokenizer.ggml.eos_token_id")))] == "<|end|>"
    assert tokens[int(str(value(model, "tokenizer.ggml.bos_token_id")))] == "<s>"


def test_every_text_can_be_written(kinds: dict[str, int]) -> None:
    printable = string.digits + string.ascii_letters + string.punctuation + "▁"
    assert [letter for letter in printable if kinds.get(letter) != TokenType.NORMAL] == []
    assert [byte for byte in range(256) if kinds.get(f"<0x{byte:02X}>") != TokenType.BYTE] == []
    assert [token for token in kinds if re.fullmatch(r"▁?\d\d+", token)] == []


def test_the_card_tells_the_measured_score() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    measured = re.search(r"(\d+) of 300", card)
    assert measured is not None
    assert int(measured[1]) >= 270
