"""Writing a trained adapter as a GGUF file of llama.cpp's form.

Owns the file's metadata and the layout of its weights, 16-bit floats. Names and shapes are those of llama.cpp's own
converter: https://github.com/ggml-org/llama.cpp/blob/master/convert_lora_to_gguf.py
"""

from pathlib import Path
from typing import Final

import gguf
import numpy as np
from numpy.typing import NDArray

from models.convert import LAYER_NAMES, interleaved
from models.low_rank import ALPHA, MATRICES
from models.network import Network, Shape

PATH: Final = Path(__file__).with_name("pirate.gguf")
NAME: Final = "Parley Demo Pirate"
DESCRIPTION: Final = "A LoRA adapter that makes Parley Demo talk like a pirate."


def write_adapter(network: Network, path: Path = PATH) -> None:
    """Write what was learnt; a reader sees the old file or the new one, never half of it."""
    partial = path.with_suffix(".partial")
    writer = gguf.GGUFWriter(partial, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, ALPHA)
    writer.add_name(NAME)
    writer.add_description(DESCRIPTION)
    writer.add_license("mit")
    heads = Shape().heads
    for number, layer in enumerate(network.layers):
        for ours in MATRICES:
            low_rank = getattr(layer, ours)
            name = f"blk.{number}.{LAYER_NAMES[ours]}.weight"
            up = low_rank.up.detach().numpy()
            # The rows of what is added go where the rows of the matrix went.
            up = interleaved(up, heads) if ours in ("query", "key") else up
            writer.add_tensor(f"{name}.lora_a", _short(low_rank.down.detach().numpy()))
            writer.add_tensor(f"{name}.lora_b", _short(up))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(path)


def _short(weight: NDArray[np.float32]) -> NDArray[np.float16]:
    return np.ascontiguousarray(weight, dtype=np.float16)
