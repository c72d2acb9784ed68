import struct
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from gguf import GGUFWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generation.errors import ModelError
from generation.gguf_file import TokenKind, read_gguf_header
from tests.generation.tiny_model import CHAT_TEMPLATE, CONTROL_TEXTS, TinyModel, write_tiny_model


def test_the_header_says_what_the_file_was_made_with(tiny_model: Path) -> None:
    header = read_gguf_header(tiny_model)
    assert header.architecture == "llama"
    assert header.trained_context == 4096
    assert header.size_bytes == tiny_model.stat().st_size
    assert header.chat_template == CHAT_TEMPLATE
    assert header.tokenizer == "llama"
    assert not header.adds_space_prefix
    # One layer, two KV heads of 16 values, keys and values, two bytes each.
    assert header.kv_bytes_per_token == 1 * 2 * (16 + 16) * 2
    kinds = [TokenKind(kind) for kind in header.token_kinds]
    assert kinds[:3] == [TokenKind.UNKNOWN, TokenKind.CONTROL, TokenKind.CONTROL]
    assert [token.decode() for token in header.tokens[3:7]] == list(CONTROL_TEXTS)
    assert kinds.count(TokenKind.BYTE) == 256


def test_what_a_file_leaves_out_has_a_meaning(tmp_path: Path) -> None:
    bare = read_gguf_header(write_tiny_model(tmp_path / "bare.gguf", TinyModel(template=None, adds_space_prefix=True)))
    assert bare.chat_template is None
    assert bare.adds_space_prefix


def test_parameters_are_counted_over_all_tensors(tiny_model: Path) -> None:
    tokens = len(read_gguf_header(tiny_model).tokens)
    layer = 4 * 32 * 32 + 3 * 32 * 64 + 2 * 32
    assert read_gguf_header(tiny_model).parameters == 2 * tokens * 32 + 32 + layer


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not a GGUF file"),
        (b"GGU", "is not a GGUF file"),
        (b"<!doctype html><html>", "is not a GGUF file"),
        (b"GGUF", "damaged or not wholly downloaded"),
        (b"GGUF" + struct.pack("<IQQ", 9, 0, 0), "GGUF of version 9"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "holds no language model"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 2**60), "damaged or not wholly downloaded"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**63), "damaged or not wholly downloaded"),
    ],
)
def test_a_file_that_is_no_model_is_said_to_be_none(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=words) as caught:
        read_gguf_header(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model file"):
        read_gguf_header(tmp_path / "none.gguf")
    with pytest.raises(ModelError, match="is not a file"):
        read_gguf_header(tmp_path)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    circle = tmp_path / "circle.gguf"
    circle.symlink_to(circle)
    with pytest.raises(ModelError, match="cannot read the model file"):
        read_gguf_header(circle)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(length=st.integers(4, 15_000))
def test_a_header_cut_short_anywhere_is_said(tiny_model: Path, tmp_path: Path, length: int) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny_model.read_bytes()[:length])
    with pytest.raises(ModelError):
        read_gguf_header(path)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(4, 15_000), value=st.integers(0, 255))
def test_a_damaged_header_is_read_or_refused_but_never_breaks(
    tiny_model: Path, tmp_path: Path, at: int, value: int
) -> None:
    data = bytearray(tiny_model.read_bytes())
    data[at] = value
    path = tmp_path / "damaged.gguf"
    path.write_bytes(data)
    try:
        assert read_gguf_header(path).size_bytes == len(data)
    except ModelError as error:
        assert str(path) in str(error)  # noqa: PT017 - both outcomes are right


def test_a_large_vocabulary_is_read_in_a_moment(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "large.gguf", "llama")
    writer.add_token_list([f"token {at}" for at in range(150_000)])
    writer.add_token_types([1] * 150_000)
    writer.add_token_merges([f"a{at} b" for at in range(150_000)])
    writer.add_tensor("weight", np.zeros((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    began = monotonic()
    assert len(read_gguf_header(tmp_path / "large.gguf").tokens) == 150_000
    assert monotonic() - began < 20
