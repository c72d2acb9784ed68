"""Makes a llama of random weights with the demo model's vocabulary: as slow as one of its size, whatever it says.

Speed does not depend on the values. For benchmarks in which computing a prompt has to cost something; the tests have a
model of their own, which answers in a blink.
"""

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import quantize

from parley.demo_model import demo_path

WIDTH, LAYERS, HEADS, FEED_FORWARD = 2048, 1, 32, 5632
"""One layer of a model of 1.1 billion parameters, 58 million with the vocabulary: attention, whose cost grows with what
was said before, has the share that it has there. In a narrow and deep model of this size it has several times that."""

_SHAPE = {
    "llama.embedding_length": WIDTH,
    "llama.block_count": LAYERS,
    "llama.attention.head_count": HEADS,
    "llama.attention.head_count_kv": HEADS,
    "llama.feed_forward_length": FEED_FORWARD,
    "llama.rope.dimension_count": WIDTH // HEADS,
}


def write_random_model(path: Path) -> Path:
    """Write the file and return its path; the same values each time."""
    demo = GGUFReader(demo_path())
    writer = GGUFWriter(path, "llama")
    for name, field in demo.fields.items():
        if not name.startswith(("GGUF.", "general.architecture")):
            value = _SHAPE.get(name, field.contents())
            writer.add_key_value(name, value, field.types[0], field.types[-1] if len(field.types) > 1 else None)
    _add_weights(writer, tokens=len(demo.fields["tokenizer.ggml.tokens"].contents()))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_weights(writer: GGUFWriter, *, tokens: int) -> None:
    draw = np.random.default_rng(7)

    def add(name: str, *shape: int) -> None:
        values = draw.standard_normal(shape, dtype=np.float32) * np.float32(0.02)
        kind = GGMLQuantizationType.Q8_0
        writer.add_tensor(f"{name}.weight", quantize(values, kind), raw_dtype=kind)

    def add_norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))

    add("token_embd", tokens, WIDTH)
    add("output", tokens, WIDTH)
    add_norm("output_norm")
    for layer in range(LAYERS):
        add_norm(f"blk.{layer}.attn_norm")
        add_norm(f"blk.{layer}.ffn_norm")
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{part}", WIDTH, WIDTH)
        for part in ("ffn_gate", "ffn_up"):
            add(f"blk.{layer}.{part}", FEED_FORWARD, WIDTH)
        add(f"blk.{layer}.ffn_down", WIDTH, FEED_FORWARD)
