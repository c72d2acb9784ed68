"""LoRA adapters: small files beside one model, each of which a request can choose by name.

Owns: which adapter files fit a model, and how a request to llama.cpp's server names one. Does not own: loading them
(`child.py`), nor which of a caller's model names is an adapter (`api/model_names.py`).

Every request says the scale of every adapter, zero included: llama.cpp takes an absent or an empty list for "as loaded"
and then goes on with what other adapters computed (https://github.com/ggml-org/llama.cpp/issues/28674).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generation.errors import ModelError, UnknownAdapterError
from generation.gguf_file import GgufContents, GgufHeader, read_gguf_contents

SETTING = "PARLEY_LORA"

_SUFFIXES = (".lora_a", ".lora_b")
_TURNED = "token_embd.weight"
"""The one matrix whose adapter llama.cpp expects the other way round: its rows are looked up, not multiplied."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA file and the name that requests call it by."""

    name: str
    path: Path


def check_adapters(adapters: Sequence[Adapter], header: GgufHeader, *, model_name: str) -> None:
    """Raise `ModelError` for an adapter that cannot be used with the model of this header, or whose name is taken."""
    taken = {model_name}
    for adapter in adapters:
        if adapter.name in taken:
            owner = "the model's own" if adapter.name == model_name else "another adapter's, too"
            raise ModelError(f"{SETTING}: the name {adapter.name} is {owner}; give each adapter a name of its own")
        taken.add(adapter.name)
        contents = read_gguf_contents(adapter.path, setting=SETTING, kind="LoRA adapter")
        if problem := _find_problem(contents, header):
            raise ModelError(f"{SETTING}: {adapter.path} {problem}")


def count_bytes(adapters: Sequence[Adapter]) -> int:
    """Add up the adapters' files, which are kept in memory whole; a file that is not there counts nothing."""
    return sum(adapter.path.stat().st_size for adapter in adapters if adapter.path.is_file())


def choose(adapters: Sequence[Adapter], name: str | None) -> dict[str, Any]:
    """Say what a request to the server adds for the adapter of this name, or for the model itself.

    Nothing where no adapter is loaded. Raises `UnknownAdapterError`.
    """
    if name is not None and all(adapter.name != name for adapter in adapters):
        raise UnknownAdapterError(name)
    if not adapters:
        return {}
    return {
        "lora": [{"id": number, "scale": float(adapter.name == name)} for number, adapter in enumerate(adapters)],
    }


def _find_problem(contents: GgufContents, header: GgufHeader) -> str | None:
    """Say what is wrong with a file, as the end of a sentence; llama.cpp itself would give no reason."""
    values = contents.values
    if values.get("general.type") != "adapter":
        return "is a model and no LoRA adapter; set PARLEY_MODEL to use it"
    if values.get("adapter.type") != "lora":
        return "is an adapter of another kind than LoRA; choose a LoRA adapter"
    if "adapter.alora.invocation_tokens" in values:
        return "is an activated LoRA (aLoRA), which is not supported; choose a plain LoRA adapter"
    if not contents.tensors or any(not name.endswith(_SUFFIXES) for name in contents.tensors):
        return "holds weights that are no LoRA's; convert it again with llama.cpp's convert_lora_to_gguf.py"
    made_for = values.get("general.architecture")
    if made_for != header.architecture:
        return f"was made for a model of architecture {made_for}, and this one's is {header.architecture}"
    if not _fits(contents.tensors, header.tensors):
        return "was made for another model than this one; use the model it was trained on"
    return None


def _fits(lora: Mapping[str, tuple[int, ...]], model: Mapping[str, tuple[int, ...]]) -> bool:
    """Compare shapes with the matrices they belong to. A model in several files shows some of them only."""
    bases = {name.rpartition(".lora_")[0] for name in lora}
    known = bases & model.keys()
    return bool(known) and all(
        _fits_matrix(lora.get(f"{base}.lora_a"), lora.get(f"{base}.lora_b"), model[base], turned=base == _TURNED)
        for base in known
    )


def _fits_matrix(
    down: tuple[int, ...] | None, up: tuple[int, ...] | None, matrix: tuple[int, ...], *, turned: bool
) -> bool:
    """Whether (inputs, rank) and (rank, outputs) multiply to a matrix of (inputs, outputs)."""
    if down is None or up is None or min(len(down), len(up), len(matrix)) < 2:
        return False
    if turned:
        return (up[1], down[1], up[0]) == (matrix[0], matrix[1], down[0])
    return (down[0], up[1], down[1]) == (matrix[0], matrix[1], up[0])
