import math

import numpy as np
import pytest

from generation.candidates import Candidates
from generation.mirostat import Mirostat


def zipf(count: int, steepness: float) -> Candidates:
    """A distribution that follows Zipf's law exactly: scores fall with the logarithm of the rank."""
    return Candidates(np.arange(count), -steepness * np.log(np.arange(1, count + 1)))


def test_the_cut_starts_at_twice_the_target_and_moves_against_the_error() -> None:
    mirostat = Mirostat(2, tau=3.0, eta=0.5, vocabulary_size=10)
    assert mirostat.mu == 6.0
    mirostat.learn(1 / 32)
    assert mirostat.mu == 6.0 - 0.5 * (5 - 3)
    mirostat.learn(1 / 2)
    assert mirostat.mu == 5.0 - 0.5 * (1 - 3)


def test_version_2_keeps_what_is_no_more_surprising_than_mu() -> None:
    ranked = Candidates(np.arange(4), np.log(np.array([1 / 2, 1 / 4, 1 / 8, 1 / 8])))
    kept = []
    for mu in (0.5, 1.01, 2.01, 3.01):
        mirostat = Mirostat(2, tau=1, eta=0.1, vocabulary_size=4)
        mirostat.mu = mu
        kept.append(len(mirostat.cut(ranked)))
    assert kept == [1, 1, 2, 4]


def test_version_1_estimates_the_steepness_and_solves_for_k() -> None:
    """The paper's formula for k, on a distribution whose steepness is known: the estimate is then exact."""
    vocabulary, steepness, tau = 5000, 1.4, 3.0
    excess = steepness - 1
    expected = int((excess * 2 ** (2 * tau) / (1 - vocabulary**-excess)) ** (1 / steepness))
    mirostat = Mirostat(1, tau=tau, eta=0.1, vocabulary_size=vocabulary)
    assert 1 < expected < vocabulary
    assert len(mirostat.cut(zipf(vocabulary, steepness))) == expected


@pytest.mark.parametrize("tau", [0.0, 5.0, 20.0])
@pytest.mark.parametrize("steepness", [0.0, 0.3, 1.0, 3.0, 200.0])
@pytest.mark.parametrize("count", [1, 2, 500])
@pytest.mark.parametrize("version", [1, 2])
def test_no_distribution_breaks_the_cut(version: int, count: int, steepness: float, tau: float) -> None:
    mirostat = Mirostat(1 if version == 1 else 2, tau=tau, eta=1.0, vocabulary_size=count)
    kept = mirostat.cut(zipf(count, steepness))
    assert 1 <= len(kept) <= count


def test_a_target_out_of_reach_keeps_every_token() -> None:
    for version in (1, 2):
        mirostat = Mirostat(1 if version == 1 else 2, tau=20.0, eta=0.1, vocabulary_size=500)
        assert len(mirostat.cut(zipf(500, 1.2))) == 500
    assert math.isfinite(mirostat.mu)
