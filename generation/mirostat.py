"""Mirostat: sampling that steers the surprise of a text towards a target.

Owns: how far each version cuts, and how its cut moves. Does not own: the draw (`reference_sampler.py`).

Source: https://arxiv.org/abs/2007.14966; version 2 is its authors' simplification. As in llama.cpp the estimate of
version 1 rests on the 100 most likely tokens, the cut starts at twice the target, and the surprise that steers is taken
after the cut. Surprise is in bits.
"""

from typing import Literal

import numpy as np

from generation.candidates import Candidates, keep_top_k, probabilities

_ESTIMATED_OVER = 100
"""Tokens over which the steepness of the distribution is estimated; the paper's m."""


class Mirostat:
    """The state of one reply: `mu`, the most surprise a token may have."""

    def __init__(self, version: Literal[1, 2], *, tau: float, eta: float, vocabulary_size: int) -> None:
        self._version = version
        self._tau = tau
        self._eta = eta
        self._vocabulary_size = vocabulary_size
        self.mu = 2 * tau

    def cut(self, ranked: Candidates) -> Candidates:
        """Keep the likeliest tokens that `mu` lets pass, one at least."""
        if self._version == 1:
            return keep_top_k(ranked, self._count_to_keep(ranked))
        with np.errstate(divide="ignore"):
            surprise = -np.log2(probabilities(ranked))
        # Ranked, so surprise ascends.
        return ranked.at(slice(max(1, int(np.searchsorted(surprise, self.mu, side="right")))))

    def learn(self, probability: float) -> None:
        """Move the cut by how far the drawn token's surprise was from the target."""
        self.mu -= self._eta * (-np.log2(probability) - self._tau)

    def _count_to_keep(self, ranked: Candidates) -> int:
        """Version 1: fit Zipf's law and ask how many tokens give a surprise of `mu`.

        llama.cpp's conversion of a number beyond 2**31 to an integer keeps a single token; here it keeps all.
        """
        if len(ranked) == 1:
            return 1
        top = ranked.scores[:_ESTIMATED_OVER]
        falls = top[:-1] - top[1:]
        steps = np.log(np.arange(2, len(top) + 1) / np.arange(1, len(top)))
        steepness = float((steps * falls).sum() / (steps * steps).sum())
        excess = steepness - 1
        with np.errstate(all="ignore"):
            base = np.float64(excess) * np.exp2(self.mu) / (1 - np.float64(self._vocabulary_size) ** -excess)
            count = base ** (1 / np.float64(steepness))
        return int(np.nan_to_num(np.clip(count, 1, len(ranked)), nan=1))
