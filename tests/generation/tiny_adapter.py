"""Makes LoRA adapters of random weights for a model's first layer, strong enough to change what it says."""

from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

from tests.generation.tiny_model import TinyModel

PARTS = ("attn_q", "attn_k", "attn_v", "attn_output")


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyAdapter:
    """What to vary about the file."""

    seed: int = 1
    spread: float = 0.6
    kind: str = "adapter"
    method: str = "lora"
    architecture: str = "llama"
    width: int = TinyModel().width
    rank: int = 2
    up_rank: int = 2
    suffixes: tuple[str, str] = ("lora_a", "lora_b")
    invocation_tokens: tuple[int, ...] = ()


def write_tiny_adapter(path: Path, adapter: TinyAdapter | None = None) -> Path:
    """Write the file and return its path; the same values each time."""
    adapter = adapter or TinyAdapter()
    writer = gguf.GGUFWriter(path, adapter.architecture)
    writer.add_type(adapter.kind)
    writer.add_string("adapter.type", adapter.method)
    writer.add_float32("adapter.lora.alpha", 4.0)
    if adapter.invocation_tokens:
        writer.add_array("adapter.alora.invocation_tokens", list(adapter.invocation_tokens))
    draw = np.random.default_rng(adapter.seed)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, draw.normal(0, adapter.spread, shape).astype(np.float32))

    down, up = adapter.suffixes
    for part in PARTS:
        name = f"blk.0.{part}.weight"
        add(f"{name}.{down}", adapter.rank, adapter.width)
        add(f"{name}.{up}", adapter.width, adapter.up_rank)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
