"""Low-rank adapters for the network: two small matrices beside each large one, which alone learn.

Owns what is added to the network, and reading the finished model's weights back from its file. How an adapter is
written to a file is models.adapter_file's. Method: https://arxiv.org/abs/2106.09685
"""

from pathlib import Path
from typing import Final

import gguf
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.convert import LAYER_NAMES, separated
from models.network import Network, Shape

RANK: Final = 8
ALPHA: Final = 16.0
"""What the product of the two matrices counts is `ALPHA / RANK`."""

MATRICES: Final = ("query", "key", "value", "output", "gate", "up", "down")
"""The matrices of a layer that get an adapter: all of them."""


class LowRank(nn.Module):  # type: ignore[misc]
    """A matrix that stays as it is, and what the adapter adds to it. It begins by adding nothing."""

    def __init__(self, frozen: nn.Linear) -> None:
        super().__init__()
        self.frozen = frozen
        self.down = nn.Parameter(torch.randn(RANK, frozen.in_features) * frozen.in_features**-0.5)
        self.up = nn.Parameter(torch.zeros(frozen.out_features, RANK))

    def forward(self, given: Tensor) -> Tensor:
        """Multiply by the matrix as the adapter changes it."""
        added = functional.linear(functional.linear(given, self.down), self.up)
        result: Tensor = self.frozen(given) + added * (ALPHA / RANK)
        return result


def adapt(network: Network) -> list[nn.Parameter]:
    """Put an adapter beside every matrix of the layers; gives what shall learn, and all else no longer does."""
    network.requires_grad_(requires_grad=False)
    learning: list[nn.Parameter] = []
    for layer in network.layers:
        for name in MATRICES:
            low_rank = LowRank(getattr(layer, name))
            setattr(layer, name, low_rank)
            learning += [low_rank.down, low_rank.up]
    return learning


def read_network(path: Path) -> Network:
    """Read the model's file back into a network, its weights as the file rounds them."""
    shape = Shape()
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    network = Network(shape)
    weights = {"embedding.weight": _values(tensors["token_embd.weight"])}
    weights["norm.weight"] = _values(tensors["output_norm.weight"])
    for layer in range(shape.layers):
        for ours, theirs in LAYER_NAMES.items():
            weight = _values(tensors[f"blk.{layer}.{theirs}.weight"])
            if ours in ("query", "key"):
                weight = separated(weight, shape.heads)
            weights[f"layers.{layer}.{ours}.weight"] = weight
    network.load_state_dict({name: torch.from_numpy(weight.copy()) for name, weight in weights.items()})
    return network


def _values(tensor: gguf.ReaderTensor) -> NDArray[np.float32]:
    return np.asarray(gguf.quants.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
