"""The Muon optimizer for the network's matrices, all matrices of one shape at once.

Owns the update of matrices only; embeddings and norms are AdamW's. PyTorch's own Muon treats matrix after matrix,
which on a processor spends as long on the many small products as on the network itself.
"""

from collections.abc import Iterable
from typing import Final

import torch
from torch import Tensor

_COEFFICIENTS: Final = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz polynomial that moves singular values towards one."""

_ROUNDS: Final = 5
_MATCH: Final = 0.2
"""Makes an update about as large as AdamW's, so that one learning rate serves both."""


def orthogonal(stack: Tensor) -> Tensor:
    """Find roughly the nearest orthogonal matrix to each in the stack; none may have more rows than columns."""
    a, b, c = _COEFFICIENTS
    x = stack.bfloat16()
    x = x / (x.flatten(1).norm(dim=1).view(-1, 1, 1) + 1e-7)
    for _ in range(_ROUNDS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.to(stack.dtype)


class Muon(torch.optim.Optimizer):  # type: ignore[misc]
    """Momentum made orthogonal."""

    def __init__(self, matrices: Iterable[Tensor], lr: float, decay: float, momentum: float = 0.95) -> None:
        super().__init__(list(matrices), {"lr": lr, "decay": decay, "momentum": momentum})

    def step(self) -> None:
        """Update every matrix from its gradient."""
        with torch.no_grad():
            for group in self.param_groups:
                by_shape: dict[tuple[int, int], list[Tensor]] = {}
                for matrix in group["params"]:
                    rows, columns = matrix.shape
                    by_shape.setdefault((min(rows, columns), max(rows, columns)), []).append(matrix)
                for matrices in by_shape.values():
                    self._step_together(matrices, group["lr"], group["decay"], group["momentum"])

    def _step_together(self, matrices: list[Tensor], rate: float, decay: float, momentum: float) -> None:
        ahead = [_wide(self._with_momentum(matrix, momentum)) for matrix in matrices]
        updates = orthogonal(torch.stack(ahead))
        for matrix, update in zip(matrices, updates, strict=True):
            matrix.mul_(1 - rate * decay)
            shaped = update if matrix.shape == update.shape else update.mT
            matrix.add_(shaped, alpha=-rate * _MATCH * max(matrix.shape) ** 0.5)

    def _with_momentum(self, matrix: Tensor, momentum: float) -> Tensor:
        state = self.state[matrix]
        if not state:
            state["momentum"] = torch.zeros_like(matrix)
        average: Tensor = state["momentum"]
        gradient = matrix.grad if matrix.grad is not None else torch.zeros_like(matrix)
        average.lerp_(gradient, 1 - momentum)
        return gradient.lerp(average, momentum)


def _wide(matrix: Tensor) -> Tensor:
    return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT
