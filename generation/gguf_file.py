"""Reads the header of a GGUF file: what Parley must know of a model before, and beside, loading it.

Owns: the checks that a file is a whole GGUF of a language model, and the few facts kept from its header. Does not own:
the tensors' values, nor whether the engine knows the architecture. The `gguf` package's own reader is not used: it took
6.4 s for a vocabulary of 150,000 tokens, this one 0.06 s.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from generation.errors import ModelError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_SCALARS: Mapping[int, str] = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_SMALL_ARRAY = 4096
"""Longest array kept although nobody asked for it, entries: per-layer head counts are that short."""
_MOST_ENTRIES = 1 << 24
"""More entries than any real file has; a damaged header must not make us loop for minutes."""
_MOST_DIMENSIONS = 8
_MOST_LAYERS = 10_000
_BLOCKS: Mapping[int, tuple[int, int]] = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36), 10: (256, 84),
    11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 30: (1, 2),
}  # fmt: skip
"""Weights and bytes of a block, by tensor type: floats, the plain quantizations and the K ones. See ggml.h."""
_UNKNOWN_BLOCK = (1, 0)
_KEPT_ARRAYS = ("tokenizer.ggml.tokens", "tokenizer.ggml.token_type")

GgufValue = int | float | bool | str | list[int] | list[bytes] | None


class TokenKind(IntEnum):
    """Token types as the file numbers them."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """What a model file says of itself. `kv_bytes_per_token` is the KV cache of one token at 16 bits a value.

    `tensors` are the weights' names with their shapes, the innermost dimension first, as the file has them.
    """

    size_bytes: int
    architecture: str
    trained_context: int
    parameters: int
    kv_bytes_per_token: int
    tokens: tuple[bytes, ...]
    token_kinds: tuple[int, ...]
    tokenizer: str
    adds_space_prefix: bool
    adds_bos: bool
    chat_template: str | None
    tensors: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufContents:
    """What any GGUF file holds: its metadata (long arrays left out), and its tensors' names and shapes."""

    size_bytes: int
    values: Mapping[str, GgufValue]
    tensors: Mapping[str, tuple[int, ...]]


class _DamagedError(Exception):
    """The bytes do not follow the format."""


class _Reader:
    """Walks over the header's bytes and never beyond their end."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._size = len(data)
        self.offset = 0

    def skip(self, count: int) -> int:
        start = self.offset
        if count < 0 or count > self._size - start:
            raise _DamagedError
        self.offset = start + count
        return start

    def scalar(self, code: str) -> int | float | bool:
        start = self.skip(struct.calcsize("<" + code))
        value: int | float | bool = struct.unpack_from("<" + code, self._data, start)[0]
        return value

    def count(self, code: str = "Q") -> int:
        value = int(self.scalar(code))
        if value > _MOST_ENTRIES:
            raise _DamagedError
        return value

    def string(self) -> bytes:
        length = self.count()
        start = self.skip(length)
        return self._data[start : start + length]

    def strings(self, count: int) -> list[bytes]:
        """Read as `string` does, again and again; written out because this loop is where the time goes."""
        data, offset, size = self._data, self.offset, self._size
        length_at = struct.Struct("<Q").unpack_from
        found = []
        for _ in range(count):
            if offset + 8 > size:
                raise _DamagedError
            end = offset + 8 + length_at(data, offset)[0]
            if end > size:
                raise _DamagedError
            found.append(data[offset + 8 : end])
            offset = end
        self.offset = offset
        return found

    def array(self) -> list[int] | list[bytes]:
        kind, count = self.count("I"), self.count()
        if kind == _STRING:
            return self.strings(count)
        if kind not in _SCALARS:
            raise _DamagedError
        code = f"<{count}{_SCALARS[kind]}"
        return list(struct.unpack_from(code, self._data, self.skip(struct.calcsize(code))))

    def value(self) -> GgufValue:
        kind = self.count("I")
        if kind == _STRING:
            return self.string().decode(errors="replace")
        if kind == _ARRAY:
            return self.array()
        if kind not in _SCALARS:
            raise _DamagedError
        return self.scalar(_SCALARS[kind])


def read_gguf_header(path: Path) -> GgufHeader:
    """Read and check the header of a model file.

    Raises `ModelError` when there is no such file, it cannot be read, is no GGUF of a language model, or is cut short.
    """
    contents = read_gguf_contents(path)
    try:
        return _header(contents, path)
    except _DamagedError:
        raise _damaged(path) from None


def read_gguf_contents(path: Path, *, setting: str = "PARLEY_MODEL", kind: str = "model") -> GgufContents:
    """Read the header of any GGUF file; `setting` and `kind` say in an error what the file was meant for.

    Raises `ModelError` when there is no such file, it cannot be read, is no GGUF, or is cut short.
    """
    try:
        size_bytes = path.stat().st_size
        if not path.is_file():
            raise ModelError(f"{path} is not a file; set {setting} to a GGUF file")
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ModelError(f"{path} is not a GGUF file; set {setting} to a {kind} in GGUF format")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _parse(_Reader(data), path, size_bytes)
    except FileNotFoundError:
        raise ModelError(f"there is no {kind} file {path}; check {setting}") from None
    except OSError as error:
        raise ModelError(f"cannot read the {kind} file {path}: {error.strerror}") from None
    except (_DamagedError, struct.error):
        raise _damaged(path) from None


def _damaged(path: Path) -> ModelError:
    return ModelError(f"{path} is damaged or not wholly downloaded; download it again")


def _parse(reader: _Reader, path: Path, size_bytes: int) -> GgufContents:
    reader.skip(len(_MAGIC))
    version = int(reader.scalar("I"))
    if version not in _VERSIONS:
        raise ModelError(f"{path} is a GGUF of version {version}, which is not supported; convert it again")
    tensor_count, value_count = reader.count(), reader.count()
    values = _read_values(reader, value_count)
    return GgufContents(size_bytes=size_bytes, values=values, tensors=_read_tensor_infos(reader, tensor_count))


def _header(contents: GgufContents, path: Path) -> GgufHeader:
    values = contents.values
    parameters = sum(map(math.prod, contents.tensors.values()))
    architecture = values.get("general.architecture")
    tokens, kinds = values.get("tokenizer.ggml.tokens"), values.get("tokenizer.ggml.token_type")
    if not isinstance(architecture, str) or not isinstance(tokens, list) or not tokens or not parameters:
        raise ModelError(f"{path} holds no language model (no vocabulary or no weights); choose another GGUF file")
    template = values.get("tokenizer.chat_template")
    return GgufHeader(
        size_bytes=contents.size_bytes,
        architecture=architecture,
        trained_context=_whole(values.get(f"{architecture}.context_length")),
        parameters=parameters,
        kv_bytes_per_token=_kv_bytes_per_token(values, architecture),
        tokens=tuple(token for token in tokens if isinstance(token, bytes)),
        token_kinds=tuple(int(kind) for kind in kinds) if isinstance(kinds, list) else (),
        tokenizer=str(values.get("tokenizer.ggml.model", "")),
        adds_space_prefix=_says(values, "add_space_prefix"),
        adds_bos=_says(values, "add_bos_token"),
        chat_template=template if isinstance(template, str) else None,
        tensors=contents.tensors,
    )


def _read_values(reader: _Reader, count: int) -> dict[str, GgufValue]:
    values: dict[str, GgufValue] = {}
    for _ in range(count):
        key = reader.string().decode(errors="replace")
        value = reader.value()
        if isinstance(value, list) and key not in _KEPT_ARRAYS and len(value) > _SMALL_ARRAY:
            continue
        values[key] = value
    return values


def _read_tensor_infos(reader: _Reader, count: int) -> dict[str, tuple[int, ...]]:
    """Read the tensors' shapes, and see that the file reaches to the end of its last tensor.

    ctransformers reads what lies beyond a file's end without a word.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    end = 0
    for _ in range(count):
        name = reader.string().decode(errors="replace")
        dimensions = reader.count("I")
        if dimensions > _MOST_DIMENSIONS:
            raise _DamagedError
        shapes[name] = tuple(int(reader.scalar("Q")) for _ in range(dimensions))
        weights = math.prod(shapes[name])
        block_weights, block_bytes = _BLOCKS.get(int(reader.scalar("I")), _UNKNOWN_BLOCK)
        end = max(end, int(reader.scalar("Q")) + max(1, weights // block_weights * block_bytes))
    reader.skip(end)
    return shapes


def _kv_bytes_per_token(values: Mapping[str, GgufValue], architecture: str) -> int:
    def number(key: str) -> int:
        return _whole(values.get(f"{architecture}.{key}"))

    layers = number("block_count")
    heads = _per_layer(values.get(f"{architecture}.attention.head_count"), layers) or [1]
    kv_heads = _per_layer(values.get(f"{architecture}.attention.head_count_kv"), layers) or heads
    head_width = number("embedding_length") // max(1, *heads)
    key_width = number("attention.key_length") or head_width
    value_width = number("attention.value_length") or head_width
    return sum(kv_heads) * (key_width + value_width) * 2


def _per_layer(value: GgufValue, layers: int) -> list[int]:
    """Head counts stand either once for all layers or as a list; empty when the file says neither."""
    if layers > _MOST_LAYERS:
        raise _DamagedError
    if isinstance(value, list):
        return [_whole(entry) for entry in value]
    return [_whole(value)] * layers if value is not None else []


def _says(values: Mapping[str, GgufValue], key: str) -> bool:
    """Read a yes or no about the tokenizer; SentencePiece vocabularies mean yes where the file is silent."""
    says = values.get(f"tokenizer.ggml.{key}")
    return bool(says) if isinstance(says, bool) else values.get("tokenizer.ggml.model") == "llama"


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int) else 0
