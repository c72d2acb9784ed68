from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.candidates import Candidates
from generation.reference_sampler import ReferenceSampler
from tests.generation.asking import options

NEUTRAL: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "repeat_penalty": 1.0}


def sampler(previous: tuple[int, ...] = (), *, size: int = 4, **changes: Any) -> ReferenceSampler:
    """A sampler with everything off but what is named."""
    return ReferenceSampler(options(**{**NEUTRAL, **changes}), previous=previous, vocabulary_size=size)


def of(*shares: float) -> Candidates:
    return Candidates.from_logits(np.log(np.array(shares)))


def shares_of(drawing: ReferenceSampler, candidates: Candidates) -> dict[int, float]:
    kept, shares = drawing.distribution(candidates)
    return {int(token): float(share) for token, share in zip(kept.ids, shares, strict=True)}


def test_with_everything_off_the_models_own_probabilities_remain() -> None:
    assert shares_of(sampler(), of(0.1, 0.2, 0.3, 0.4)) == pytest.approx({0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4})


def test_the_samplers_apply_in_llama_cpps_order() -> None:
    """Penalties before top-k (another token falls out), cuts before temperature (its size does not change them)."""
    penalized = sampler((3,), top_k=2, presence_penalty=2.0)
    assert set(shares_of(penalized, of(0.1, 0.2, 0.3, 0.4))) == {1, 2}
    for temperature in (0.5, 1.0, 5.0):
        assert set(shares_of(sampler(top_p=0.7, temperature=temperature), of(0.1, 0.2, 0.3, 0.4))) == {2, 3}
    # Top-k leaves 0.4, 0.3 and 0.2, of which top-p then needs two for 0.75.
    assert shares_of(sampler(top_k=3, top_p=0.75), of(0.1, 0.2, 0.3, 0.4)) == pytest.approx({3: 4 / 7, 2: 3 / 7})


def test_greedy_takes_the_likeliest_that_the_cuts_leave() -> None:
    assert sampler(temperature=0.0).draw(of(0.1, 0.2, 0.3, 0.4)) == 3
    # Typical sampling drops the likeliest here.
    assert sampler(temperature=0.0, typical_p=0.1).draw(of(0.5, 0.2, 0.2, 0.1)) == 1


@pytest.mark.parametrize(
    ("repeat_last_n", "penalized"), [(0, set()), (1, {3}), (2, {2, 3}), (64, {1, 2, 3}), (-1, {1, 2, 3})]
)
def test_repeat_last_n_bounds_the_window(repeat_last_n: int, penalized: set[int]) -> None:
    plain = of(0.25, 0.25, 0.25, 0.25)
    shares = shares_of(sampler((1, 2, 3), repeat_last_n=repeat_last_n, presence_penalty=1.0), plain)
    least = min(shares.values())
    found = {token for token, share in shares.items() if share == pytest.approx(least)} if penalized else set()
    assert found == penalized


def test_what_was_drawn_counts_for_the_penalties() -> None:
    drawing = sampler(temperature=0.0, presence_penalty=1.0)
    plain = of(0.25, 0.2, 0.3, 0.25)
    assert [drawing.draw(plain) for _ in range(4)] == [2, 0, 3, 1]


def test_the_same_seed_repeats_and_another_differs() -> None:
    def drawn(seed: int) -> list[int]:
        drawing = sampler(seed=seed)
        return [drawing.draw(of(0.25, 0.25, 0.25, 0.25)) for _ in range(50)]

    assert drawn(5) == drawn(5) != drawn(6)


def test_draws_follow_the_distribution() -> None:
    drawing = sampler(seed=1)
    counts = np.bincount([drawing.draw(of(0.1, 0.2, 0.3, 0.4)) for _ in range(20_000)], minlength=4)
    # Four standard deviations of a binomial of 20,000 draws are at most 0.014.
    assert counts / 20_000 == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.014)


@pytest.mark.parametrize("version", [1, 2])
def test_mirostat_uses_the_temperature_and_itself_alone(version: int) -> None:
    plain = of(*np.full(50, 0.02))
    with_all = sampler((1, 2), size=50, mirostat=version, top_k=1, top_p=0.1, min_p=0.9, repeat_penalty=2.0)
    alone = sampler((1, 2), size=50, mirostat=version)
    assert shares_of(with_all, plain) == shares_of(alone, plain)
    assert len(shares_of(sampler(size=50, mirostat=version, temperature=0.0), plain)) == 1


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("tau", [2.0, 4.0])
def test_mirostats_mean_surprise_converges_on_tau(version: int, tau: float) -> None:
    """On a Zipf distribution whose own mean surprise is above both targets."""
    ranked = Candidates.from_logits(-1.1 * np.log(np.arange(1, 2001)))
    drawing = sampler(size=2000, mirostat=version, mirostat_tau=tau, mirostat_eta=0.1)
    surprises = []
    for _ in range(1500):
        kept, shares = drawing.distribution(ranked)
        token = drawing.draw(ranked)
        surprises.append(-np.log2(shares[list(kept.ids).index(token)]))
    assert np.mean(surprises[300:]) == pytest.approx(tau, abs=0.15)


@given(
    logits=st.lists(st.floats(-40, 40, width=32), min_size=1, max_size=40),
    previous=st.lists(st.integers(0, 50), max_size=20),
    top_k=st.integers(0, 50),
    cuts=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    temperature=st.floats(0, 5),
    penalties=st.tuples(st.floats(0.1, 5), st.floats(-2, 2), st.floats(-2, 2)),
    mirostat=st.integers(0, 2),
)
def test_any_options_leave_a_distribution_over_known_tokens(
    logits: list[float],
    previous: list[int],
    top_k: int,
    cuts: list[float],
    temperature: float,
    penalties: tuple[float, float, float],
    mirostat: int,
) -> None:
    drawing = sampler(
        tuple(previous),
        size=len(logits),
        top_k=top_k,
        **dict(zip(("top_p", "min_p", "typical_p", "tfs_z"), cuts, strict=True)),
        temperature=temperature,
        **dict(zip(("repeat_penalty", "presence_penalty", "frequency_penalty"), penalties, strict=True)),
        mirostat=mirostat,
    )
    candidates = Candidates.from_logits(np.array(logits))
    for _ in range(3):
        kept, shares = drawing.distribution(candidates)
        assert shares.sum() == pytest.approx(1)
        assert set(kept.ids) <= set(range(len(logits)))
        assert drawing.draw(candidates) in kept.ids
