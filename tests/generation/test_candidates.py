"""Each sampler against examples worked out by hand, and properties over random distributions."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.candidates import (
    Candidates,
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

Cut = Callable[[Candidates, float], Candidates]


def of(*shares: float) -> Candidates:
    """Candidates 0, 1, … with these probabilities, which descend."""
    return Candidates(np.arange(len(shares)), np.log(np.array(shares)))


def ids(candidates: Candidates) -> list[int]:
    return [int(token) for token in candidates.ids]


def test_probabilities_are_a_softmax_and_survive_huge_scores() -> None:
    assert probabilities(Candidates.from_logits(np.array([0.0, math.log(3)]))) == pytest.approx([0.25, 0.75])
    assert probabilities(Candidates.from_logits(np.array([1e5, 1e5 - 1000]))) == pytest.approx([1.0, 0.0])


def test_ranking_sorts_breaks_ties_by_id_and_drops_what_is_forbidden() -> None:
    assert ids(rank(Candidates.from_logits(np.array([1.0, 3.0, -np.inf, 3.0, 2.0])))) == [1, 3, 4, 0]


def test_pairs_may_come_in_any_order() -> None:
    pairs = Candidates.from_pairs([7, 2, 5], [0.1, 0.2, 0.3])
    assert (ids(pairs), list(pairs.scores)) == ([2, 5, 7], [0.2, 0.3, 0.1])


def test_the_repeat_penalty_divides_positive_and_multiplies_negative_scores() -> None:
    plain = Candidates.from_logits(np.array([2.0, -2.0, 0.0, 4.0]))
    assert list(penalize(plain, [0, 1, 2, 0], repeat=2, presence=0, frequency=0).scores) == [1.0, -4.0, 0.0, 4.0]


def test_presence_counts_once_and_frequency_each_time_after_the_repeat_penalty() -> None:
    plain = Candidates.from_logits(np.array([2.0, 1.0, 0.0]))
    penalized = penalize(plain, [0, 0, 0, 1], repeat=2, presence=0.5, frequency=0.25)
    assert list(penalized.scores) == [1 - 0.75 - 0.5, 0.5 - 0.25 - 0.5, 0.0]


def test_a_penalty_skips_tokens_that_are_no_candidates() -> None:
    pairs = Candidates.from_pairs([3, 9], [1.0, 2.0])
    assert list(penalize(pairs, [1, 3, 5, 12], repeat=1, presence=1, frequency=0).scores) == [0.0, 2.0]


def test_neutral_penalties_and_an_empty_window_change_nothing() -> None:
    plain = Candidates.from_logits(np.array([2.0, 1.0]))
    assert penalize(plain, [0], repeat=1, presence=0, frequency=0) is plain
    assert penalize(plain, [], repeat=2, presence=1, frequency=1) is plain


def test_top_k_keeps_k_and_zero_keeps_all() -> None:
    plain = of(0.5, 0.3, 0.2)
    assert ids(keep_top_k(plain, 2)) == [0, 1]
    assert ids(keep_top_k(plain, 0)) == ids(keep_top_k(plain, 99)) == [0, 1, 2]


def test_top_p_keeps_the_fewest_that_reach_p() -> None:
    plain = of(0.5, 0.25, 0.125, 0.125)
    assert [len(keep_top_p(plain, p)) for p in (0.0, 0.5, 0.51, 0.75, 0.76, 0.9, 1.0)] == [1, 1, 2, 2, 3, 4, 4]


def test_min_p_is_relative_to_the_likeliest() -> None:
    plain = of(0.5, 0.25, 0.125, 0.125)
    assert [len(keep_min_p(plain, p)) for p in (0.0, 0.2, 0.3, 0.6, 1.0)] == [4, 4, 2, 1, 1]


def test_tail_free_cuts_by_the_second_derivative() -> None:
    """Falls 0.24, 0.09, 0.07, 0.03; bends 0.15, 0.02, 0.04; their running share of 0.21: 0.714, 0.810, 1."""
    plain = of(0.48, 0.24, 0.15, 0.08, 0.05)
    assert [len(keep_tail_free(plain, z)) for z in (0.0, 0.7, 0.75, 0.8, 0.85, 0.99, 1.0)] == [1, 1, 1, 1, 2, 2, 5]


def test_tail_free_weighs_a_straight_line_evenly() -> None:
    flat = of(0.2, 0.2, 0.2, 0.2, 0.2)
    # Three bends of a third each: the sum exceeds 0.5 at the second, 0.9 at the third.
    assert [len(keep_tail_free(flat, z)) for z in (0.5, 0.9)] == [1, 2]
    assert len(keep_tail_free(of(0.6, 0.4), 0.0)) == 2


def test_typical_keeps_what_is_nearest_to_the_entropy_and_may_drop_the_likeliest() -> None:
    plain = of(0.5, 0.2, 0.2, 0.1)
    # Entropy 1.2206 nats; surprises 0.693, 1.609, 1.609, 2.303; distances 0.527, 0.389, 0.389, 1.082.
    assert ids(keep_typical(plain, 0.1)) == [1]
    assert ids(keep_typical(plain, 0.3)) == [1, 2]
    assert ids(keep_typical(plain, 0.5)) == [0, 1, 2]
    assert ids(keep_typical(plain, 1.0)) == [0, 1, 2, 3]


def test_typical_survives_probabilities_that_underflow() -> None:
    assert ids(keep_typical(Candidates.from_logits(np.array([0.0, -1.0, -1e4])), 0.9)) == [0, 1]


def test_temperature_scales_and_zero_is_greedy() -> None:
    plain = of(0.8, 0.2)
    assert probabilities(heat(plain, 0.5)) == pytest.approx([16 / 17, 1 / 17])
    assert probabilities(heat(plain, 2.0)) == pytest.approx([2 / 3, 1 / 3])
    assert ids(heat(plain, 0.0)) == [0]


_distributions = st.lists(st.floats(-30, 30), min_size=1, max_size=60).map(
    lambda scores: rank(Candidates.from_logits(np.array(scores)))
)


@pytest.mark.parametrize("cut", [keep_tail_free, keep_typical, keep_top_p])
@given(ranked=_distributions, p=st.floats(0, 1), q=st.floats(0, 1))
def test_a_cut_keeps_something_in_order_and_more_the_higher_its_setting(
    cut: Cut, ranked: Candidates, p: float, q: float
) -> None:
    few, many = cut(ranked, min(p, q)), cut(ranked, max(p, q))
    assert len(few) >= 1
    assert set(ids(few)) <= set(ids(many)) <= set(ids(ranked))
    assert list(few.scores) == sorted(few.scores, reverse=True)
    assert ids(cut(ranked, 1.0)) == ids(ranked)


@given(ranked=_distributions, p=st.floats(0, 1))
def test_min_p_keeps_exactly_the_tokens_at_or_above_its_line(ranked: Candidates, p: float) -> None:
    shares = probabilities(ranked)
    kept = set(ids(keep_min_p(ranked, p)))
    for token, share in zip(ids(ranked), shares, strict=True):
        if share > p * shares[0] * (1 + 1e-9):
            assert token in kept
        if share < p * shares[0] * (1 - 1e-9):
            assert token not in kept


@given(ranked=_distributions, p=st.floats(0, 1))
def test_top_p_keeps_no_token_more_than_it_needs(ranked: Candidates, p: float) -> None:
    shares = probabilities(ranked)
    kept = len(keep_top_p(ranked, p))
    assert kept == len(ranked) or shares[:kept].sum() >= p - 1e-12
    assert kept == 1 or shares[: kept - 1].sum() < p + 1e-12
