"""How the next token is drawn, written to be read and to be trusted.

Serves three users: the ctransformers engine, tail-free sampling on llama.cpp (`stepping.py`), and the tests that hold
every engine to it. Owns: the order of the samplers, the memory of what was said, the draw. Does not own: the samplers
themselves (`candidates.py`, `mirostat.py`), nor stopping (`reply_text.py`).

The order is llama.cpp's: penalties, top-k, tail-free, typical, top-p, min-p, temperature (tail-free where it stood
until its removal). With Mirostat it is temperature and Mirostat alone, also there.
See `common_sampler_init` in llama.cpp's `common/sampling.cpp`.
"""

from collections.abc import Sequence

import numpy as np

from generation.candidates import (
    Candidates,
    Scores,
    heat,
    keep_min_p,
    keep_tail_free,
    keep_top_k,
    keep_top_p,
    keep_typical,
    penalize,
    probabilities,
    rank,
)
from generation.engine import SamplingOptions
from generation.mirostat import Mirostat


class ReferenceSampler:
    """Draws the tokens of one reply; the same seed and candidates give the same tokens.

    `previous` is the prompt, which counts for the penalties. `vocabulary_size` matters to Mirostat 1 alone.
    """

    def __init__(self, options: SamplingOptions, *, previous: Sequence[int], vocabulary_size: int) -> None:
        self._options = options
        self._said = list(previous)
        self._draw = np.random.default_rng(options.seed)
        self._mirostat = (
            Mirostat(
                1 if options.mirostat == 1 else 2,
                tau=options.mirostat_tau,
                eta=options.mirostat_eta,
                vocabulary_size=vocabulary_size,
            )
            if options.mirostat
            else None
        )

    def distribution(self, candidates: Candidates) -> tuple[Candidates, Scores]:
        """Say which tokens may be drawn next, likeliest first, and with what probabilities (they sum to 1).

        The candidates' ids must ascend.
        """
        kept = self._cut_by_surprise(candidates) if self._mirostat else self._cut(candidates)
        return kept, probabilities(kept)

    def draw(self, candidates: Candidates) -> int:
        """Draw the next token and remember it."""
        kept, shares = self.distribution(candidates)
        running = np.cumsum(shares)
        at = min(int(np.searchsorted(running, self._draw.random() * running[-1], side="right")), len(kept) - 1)
        if self._mirostat:
            self._mirostat.learn(float(shares[at]))
        token = int(kept.ids[at])
        self._said.append(token)
        return token

    def _window(self) -> list[int]:
        """Return the tokens that penalties look back on."""
        count = self._options.repeat_last_n
        if count < 0:
            return self._said
        return self._said[-count:] if count else []

    def _cut(self, candidates: Candidates) -> Candidates:
        options = self._options
        penalized = penalize(
            candidates,
            self._window(),
            repeat=options.repeat_penalty,
            presence=options.presence_penalty,
            frequency=options.frequency_penalty,
        )
        kept = keep_top_k(rank(penalized), options.top_k)
        kept = keep_tail_free(kept, options.tfs_z)
        kept = keep_typical(kept, options.typical_p)
        kept = keep_top_p(kept, options.top_p)
        kept = keep_min_p(kept, options.min_p)
        return heat(kept, options.temperature)

    def _cut_by_surprise(self, candidates: Candidates) -> Candidates:
        assert self._mirostat is not None
        return self._mirostat.cut(heat(rank(candidates), self._options.temperature))
