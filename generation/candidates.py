"""The tokens that may come next, and every way to cut them down.

Owns: one pure function per sampler, each from candidates to candidates. Does not own: the order in which they apply,
nor the draw (`reference_sampler.py`).

Where a paper leaves a detail open, llama.cpp's `llama-sampler.cpp` decides (b11549; tail-free sampling as it was before
its removal in October 2024, pull request 10071). Arithmetic is in double precision, llama.cpp's in single: a token that
lies on a cut's very border may fall on the other side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Scores = NDArray[np.float64]

_FLAT = 1e-6
"""A sum of second derivatives below this is a straight line: llama.cpp then weighs all alike."""

COLDEST = 1e-6
"""Dividing by less overflows, and tells apart only tokens that are equal in every practical sense."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Token ids and their scores, two arrays of one length >= 1.

    Scores are logits, or log-probabilities: they matter only up to a constant. A score of minus infinity forbids.
    """

    ids: Ids
    scores: Scores

    @classmethod
    def from_logits(cls, logits: NDArray[np.floating]) -> Self:
        """Take a whole vocabulary's logits, shape (vocabulary,)."""
        return cls(np.arange(len(logits)), logits.astype(np.float64))

    @classmethod
    def from_pairs(cls, ids: Sequence[int], scores: Sequence[float]) -> Self:
        """Take some tokens in any order, such as the most probable ones."""
        order = np.argsort(np.asarray(ids))
        return cls(np.asarray(ids, dtype=np.int64)[order], np.asarray(scores, dtype=np.float64)[order])

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, chosen: NDArray[np.intp] | NDArray[np.bool_] | slice) -> "Candidates":
        """Keep the chosen positions."""
        return Candidates(self.ids[chosen], self.scores[chosen])


def probabilities(candidates: Candidates) -> Scores:
    """Softmax over the candidates; sums to 1."""
    weights = np.exp(candidates.scores - candidates.scores.max())
    shares: Scores = weights / weights.sum()
    return shares


def penalize(
    candidates: Candidates, window: Sequence[int], *, repeat: float, presence: float, frequency: float
) -> Candidates:
    """Lower the scores of tokens seen in `window`; the candidates' ids must ascend.

    `repeat` divides a positive score and multiplies a negative one (CTRL, https://arxiv.org/abs/1909.05858, with
    llama.cpp's correction of the sign); `presence` is then taken off once and `frequency` per occurrence, as OpenAI
    defines them. The repeat penalty works on logits: log-probabilities would be all negative.
    """
    if not window or (repeat == 1 and presence == 0 and frequency == 0):
        return candidates
    seen, counts = np.unique(np.asarray(window), return_counts=True)
    places = np.searchsorted(candidates.ids, seen)
    found = places < len(candidates)
    found[found] = candidates.ids[places[found]] == seen[found]
    places, counts = places[found], counts[found]
    scores = candidates.scores.copy()
    before = scores[places]
    scores[places] = np.where(before <= 0, before * repeat, before / repeat) - counts * frequency - presence
    return Candidates(candidates.ids, scores)


def rank(candidates: Candidates) -> Candidates:
    """Order from most to least likely, equal ones by id, and leave out what is forbidden. The cuts below need this."""
    allowed = candidates.at(np.isfinite(candidates.scores))
    return allowed.at(np.argsort(-allowed.scores, kind="stable"))


def keep_top_k(ranked: Candidates, k: int) -> Candidates:
    """Keep the `k` most likely; 0 or less keeps all."""
    return ranked.at(slice(k)) if k > 0 else ranked


def keep_tail_free(ranked: Candidates, z: float) -> Candidates:
    """Cut where the curve of probabilities goes flat; 1 or more keeps all.

    Keeps tokens until their share of the summed absolute second derivative exceeds `z`.
    Source: https://www.trentonbricken.com/Tail-Free-Sampling/
    """
    if z >= 1 or len(ranked) <= 2:
        return ranked
    bends = np.abs(np.diff(probabilities(ranked), n=2))
    total = bends.sum()
    shares = bends / total if total > _FLAT else np.full(len(bends), 1 / len(bends))
    beyond = np.flatnonzero(np.cumsum(shares) > z)
    # The first token always stays, as with llama.cpp's min_keep of 1.
    beyond = beyond[beyond >= 1]
    return ranked.at(slice(int(beyond[0]))) if len(beyond) else ranked


def keep_typical(ranked: Candidates, p: float) -> Candidates:
    """Keep the tokens whose surprise is nearest to the entropy, until they hold more than `p`; 1 or more keeps all.

    Source: Locally Typical Sampling, https://arxiv.org/abs/2202.00666
    """
    if p >= 1:
        return ranked
    shares = probabilities(ranked)
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = -np.log(shares)
        entropy = np.nansum(shares * surprise)
    nearest = np.argsort(np.abs(surprise - entropy), kind="stable")
    kept = int(np.searchsorted(np.cumsum(shares[nearest]), p, side="right")) + 1
    return ranked.at(np.sort(nearest[:kept]))


def keep_top_p(ranked: Candidates, p: float) -> Candidates:
    """Keep the fewest most likely tokens that together hold at least `p`, one at least; 1 or more keeps all.

    Source: nucleus sampling, https://arxiv.org/abs/1904.09751
    """
    if p >= 1:
        return ranked
    return ranked.at(slice(int(np.searchsorted(np.cumsum(probabilities(ranked)), p)) + 1))


def keep_min_p(ranked: Candidates, p: float) -> Candidates:
    """Keep tokens at least `p` times as likely as the likeliest; 0 or less keeps all.

    Source: https://arxiv.org/abs/2407.01082
    """
    return ranked.at(ranked.scores >= ranked.scores[0] + np.log(p)) if p > 0 else ranked


def heat(ranked: Candidates, temperature: float) -> Candidates:
    """Divide scores by the temperature; 0, or next to it, leaves the likeliest token alone."""
    if temperature < COLDEST:
        return ranked.at(slice(1))
    return Candidates(ranked.ids, ranked.scores / temperature)
