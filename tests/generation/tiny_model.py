"""Makes a llama of random weights small enough to load in a blink: for the engine's behaviour, not for its words.

Its vocabulary is a byte-fallback SentencePiece one: control tokens, all bytes, printable ASCII, a few longer pieces.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from gguf.quants import quantize

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

CONTROL_TEXTS = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyModel:
    """What to vary about the file. `control`, `user_defined` and `normal` are texts of tokens of those types.

    `weights` is how the matrices are stored.
    """

    template: str | None = CHAT_TEMPLATE
    control: Sequence[str] = CONTROL_TEXTS
    user_defined: Sequence[str] = ()
    normal: Sequence[str] = ()
    end_of_turn: str = "<|end|>"
    context: int = 4096
    layers: int = 1
    adds_space_prefix: bool = False
    width: int = 32
    heads: int = 2
    feed_forward: int = 64
    weights: GGMLQuantizationType = GGMLQuantizationType.F32


def _vocabulary(model: TinyModel) -> list[tuple[str, float, TokenType]]:
    entries = [
        ("<unk>", 0.0, TokenType.UNKNOWN),
        ("<s>", 0.0, TokenType.CONTROL),
        ("</s>", 0.0, TokenType.CONTROL),
    ]
    entries += [(text, 0.0, TokenType.CONTROL) for text in model.control]
    entries += [(text, 0.0, TokenType.USER_DEFINED) for text in model.user_defined]
    entries += [(f"<0x{byte:02X}>", 0.0, TokenType.BYTE) for byte in range(256)]
    pieces = ["▁", *(chr(code) for code in range(33, 127)), "▁t", "he", "▁the", "en", "end", "us", "er", *model.normal]
    entries += [(piece, -float(rank), TokenType.NORMAL) for rank, piece in enumerate(pieces)]
    return entries


def write_tiny_model(path: Path, model: TinyModel | None = None) -> Path:
    """Write the file and return its path; the same values each time."""
    model = model or TinyModel()
    vocabulary = _vocabulary(model)
    writer = GGUFWriter(path, "llama")
    _add_header(writer, model, vocabulary)
    _add_tensors(writer, model, len(vocabulary))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_header(writer: GGUFWriter, model: TinyModel, vocabulary: list[tuple[str, float, TokenType]]) -> None:
    texts = [text for text, _, _ in vocabulary]
    writer.add_name("tiny")
    writer.add_context_length(model.context)
    writer.add_embedding_length(model.width)
    writer.add_block_count(model.layers)
    writer.add_feed_forward_length(model.feed_forward)
    writer.add_head_count(model.heads)
    writer.add_head_count_kv(model.heads)
    writer.add_rope_dimension_count(model.width // model.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(texts)
    writer.add_token_scores([score for _, score, _ in vocabulary])
    writer.add_token_types([kind for _, _, kind in vocabulary])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(texts.index(model.end_of_turn) if model.end_of_turn in texts else 2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(model.adds_space_prefix)
    if model.template is not None:
        writer.add_chat_template(model.template)


def _add_tensors(writer: GGUFWriter, model: TinyModel, tokens: int) -> None:
    draw = np.random.default_rng(7)
    spread = 0.4 * (32 / model.width) ** 0.5

    def add(name: str, *shape: int) -> None:
        values = draw.normal(0, spread, shape).astype(np.float32)
        writer.add_tensor(name, quantize(values, model.weights), raw_dtype=model.weights)

    width = model.width
    add("token_embd.weight", tokens, width)
    add("output.weight", tokens, width)
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    for layer in range(model.layers):
        writer.add_tensor(f"blk.{layer}.attn_norm.weight", np.ones(width, np.float32))
        writer.add_tensor(f"blk.{layer}.ffn_norm.weight", np.ones(width, np.float32))
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{part}.weight", width, width)
        add(f"blk.{layer}.ffn_gate.weight", model.feed_forward, width)
        add(f"blk.{layer}.ffn_up.weight", model.feed_forward, width)
        add(f"blk.{layer}.ffn_down.weight", width, model.feed_forward)
