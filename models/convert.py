"""Writing the trained network and its vocabulary as a GGUF file.

Owns the file's metadata and the layout of its weights: Q8_0 for matrices, 32-bit floats for norms.
"""

import argparse
from pathlib import Path
from typing import Final

import gguf
import numpy as np
import sentencepiece as spm
import torch
from gguf import GGMLQuantizationType, LlamaFileType, TokenType
from numpy.typing import NDArray

from models.network import Shape
from models.tokenizer import CHAT_TEMPLATE, END, MARKERS

PATH: Final = Path(__file__).with_name("demo.gguf")
NAME: Final = "Parley Demo"
CONTEXT: Final = 4096
"""Tokens, twice the longest block of training: beyond 2,048 it still answers, less surely (see README.md), and Parley's
default context can be tried on it."""

DESCRIPTION: Final = "A three-million-parameter model for trying Parley out. It knows a small world of its own."

LAYER_NAMES: Final = {
    "attention_norm": "attn_norm",
    "query": "attn_q",
    "key": "attn_k",
    "value": "attn_v",
    "output": "attn_output",
    "feed_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}
"""The weights of a layer: our names and the format's."""

Weights = dict[str, torch.Tensor]


def convert(weights: Weights, vocabulary: Path, path: Path = PATH) -> None:
    """Write the file; a reader sees the old one or the new one, never half of it."""
    partial = path.with_suffix(".partial")
    writer = gguf.GGUFWriter(partial, "llama")
    _add_shape(writer, Shape())
    _add_vocabulary(writer, spm.SentencePieceProcessor(model_file=str(vocabulary)))
    _add_weights(writer, weights, Shape())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(path)


def _add_shape(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_name(NAME)
    writer.add_description(DESCRIPTION)
    writer.add_license("mit")
    writer.add_languages(["en"])
    writer.add_file_type(LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_rope_freq_base(shape.rope_base)


def _add_vocabulary(writer: gguf.GGUFWriter, pieces: spm.SentencePieceProcessor) -> None:
    ids = range(pieces.vocab_size())
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([pieces.id_to_piece(one).encode() for one in ids])
    writer.add_token_scores([pieces.get_score(one) for one in ids])
    writer.add_token_types([_token_type(pieces, one) for one in ids])
    writer.add_bos_token_id(pieces.bos_id())
    writer.add_eos_token_id(pieces.piece_to_id(END))
    writer.add_eot_token_id(pieces.piece_to_id(END))
    writer.add_unk_token_id(pieces.unk_id())
    writer.add_add_bos_token(value=True)
    writer.add_add_eos_token(value=False)
    writer.add_add_space_prefix(value=False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _token_type(pieces: spm.SentencePieceProcessor, one: int) -> TokenType:
    if pieces.is_unknown(one):
        return TokenType.UNKNOWN
    if pieces.is_control(one) or pieces.id_to_piece(one) in MARKERS:
        return TokenType.CONTROL
    return TokenType.BYTE if pieces.is_byte(one) else TokenType.NORMAL


def _add_weights(writer: gguf.GGUFWriter, weights: Weights, shape: Shape) -> None:
    """All weights under their names in the format; the embeddings twice, for loaders that do not share them."""
    embedding = weights["embedding.weight"].numpy()
    _add_matrix(writer, "token_embd.weight", embedding)
    _add_matrix(writer, "output.weight", embedding)
    writer.add_tensor("output_norm.weight", weights["norm.weight"].numpy())
    for layer in range(shape.layers):
        for ours, theirs in LAYER_NAMES.items():
            weight = weights[f"layers.{layer}.{ours}.weight"].numpy()
            name = f"blk.{layer}.{theirs}.weight"
            if ours in ("query", "key"):
                weight = interleaved(weight, shape.heads)
            if weight.ndim == 1:
                writer.add_tensor(name, weight)
            else:
                _add_matrix(writer, name, weight)


def interleaved(weight: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Reorder the rows of each head so that channels turned together are neighbours, as llama.cpp expects."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def separated(weight: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Undo `interleaved`."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _add_matrix(writer: gguf.GGUFWriter, name: str, weight: NDArray[np.float32]) -> None:
    kind = GGMLQuantizationType.Q8_0
    writer.add_tensor(name, gguf.quants.quantize(np.ascontiguousarray(weight), kind), raw_dtype=kind)


def main() -> None:
    """Convert a checkpoint from the command line."""
    parser = argparse.ArgumentParser(description="Convert a checkpoint of the demonstration model to GGUF.")
    parser.add_argument("--vocabulary", type=Path, default=Path("models/build/tokenizer.model"))
    parser.add_argument("--checkpoint", type=Path, default=Path("models/build/checkpoint.pt"))
    parser.add_argument("--output", type=Path, default=PATH)
    options = parser.parse_args()
    convert(torch.load(options.checkpoint, weights_only=True)["network"], options.vocabulary, options.output)


if __name__ == "__main__":
    main()
