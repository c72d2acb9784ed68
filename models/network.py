"""The network: a small decoder of the Llama architecture.

Owns its shape and its forward pass. How it is trained is models.train's, how it is written to a file models.convert's.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """The sizes of a network."""

    vocabulary: int = 1536
    width: int = 192
    layers: int = 6
    heads: int = 6
    feed_forward: int = 512
    context: int = 2048
    rope_base: float = 10_000.0
    epsilon: float = 1e-5


def rope_table(shape: Shape) -> Tensor:
    """Compute the rotation of a head's channels at every position: cosines, then sines."""
    size = shape.width // shape.heads
    rates = shape.rope_base ** (-torch.arange(0, size, 2, dtype=torch.float32) / size)
    angles = torch.outer(torch.arange(shape.context, dtype=torch.float32), rates)
    return torch.stack((angles.cos(), angles.sin()))


def rotate(heads: Tensor, table: Tensor) -> Tensor:
    """Turn the channels of each head by their position, a channel of the first half with one of the second.

    llama.cpp turns neighbouring channels instead, so models.convert reorders the rows of queries and keys.
    """
    cos, sin = table[0, : heads.shape[-2]], table[1, : heads.shape[-2]]
    first, second = heads.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


class Layer(nn.Module):  # type: ignore[misc]
    """Attention and a gated feed-forward part, each behind a norm and added to what came in."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.attention_norm = nn.RMSNorm(width, eps=shape.epsilon)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.feed_norm = nn.RMSNorm(width, eps=shape.epsilon)
        self.gate = nn.Linear(width, shape.feed_forward, bias=False)
        self.up = nn.Linear(width, shape.feed_forward, bias=False)
        self.down = nn.Linear(shape.feed_forward, width, bias=False)

    def forward(self, stream: Tensor, table: Tensor) -> Tensor:
        """Take one layer's step."""
        stream = stream + self._attend(self.attention_norm(stream), table)
        normed = self.feed_norm(stream)
        fed: Tensor = self.down(functional.silu(self.gate(normed)) * self.up(normed))
        return stream + fed

    def _attend(self, normed: Tensor, table: Tensor) -> Tensor:
        batch, length, width = normed.shape
        split = (batch, length, self.heads, width // self.heads)
        query = rotate(self.query(normed).view(split).transpose(1, 2), table)
        key = rotate(self.key(normed).view(split).transpose(1, 2), table)
        value = self.value(normed).view(split).transpose(1, 2)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        joined: Tensor = self.output(mixed.transpose(1, 2).reshape(batch, length, width))
        return joined


class Network(nn.Module):  # type: ignore[misc]
    """The whole decoder; the embeddings also read out the next token."""

    table: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=shape.epsilon)
        self.register_buffer("table", rope_table(shape), persistent=False)
        self._start(shape)

    def _start(self, shape: Shape) -> None:
        """Set the starting weights: small, and smaller still where many layers add up."""
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                into_stream = name.endswith(("output.weight", "down.weight"))
                spread = 0.5 * shape.width**-0.5 / ((2 * shape.layers) ** 0.5 if into_stream else 1.0)
                nn.init.normal_(weight, std=0.02 if name.startswith("embedding") else spread)

    def forward(self, tokens: Tensor) -> Tensor:
        """Score every next token at every position."""
        stream = self.embedding(tokens)
        table = self.table.to(torch.bfloat16) if torch.is_autocast_enabled("cpu") else self.table
        for layer in self.layers:
            stream = layer(stream, table)
        return functional.linear(self.norm(stream), self.embedding.weight)
