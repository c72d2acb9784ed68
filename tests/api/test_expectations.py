"""What requests cost: learnt from what they did."""

import random

import pytest

from api.expectations import Arrivals, Expectations, Size

SIZE = Size(prompt_bytes=1000, context_tokens=4096, reply_tokens=128)


def reply_tokens(expectations: Expectations, tenant: str, size: Size = SIZE) -> float:
    return expectations.reply_tokens(tenant, size, prompt_tokens=100)


def test_nothing_known_is_the_bound() -> None:
    assert reply_tokens(Expectations(), "anybody") == 128
    for said, left in ((28, 100), (500, 0)):
        assert Expectations().reply_tokens_at("anybody", SIZE, 0.5, prompt_tokens=100, said_tokens=said) == left


def test_the_context_bounds_a_reply_too() -> None:
    size = Size(prompt_bytes=1000, context_tokens=150, reply_tokens=128)
    assert reply_tokens(Expectations(), "anybody", size) == 50


def test_a_tenants_own_replies_count_most_and_everybodys_where_there_are_none() -> None:
    expectations, chance = Expectations(), random.Random(7)
    for _ in range(200):
        for tenant, mean in (("brief", 20), ("long", 500)):
            tokens = max(1, round(chance.expovariate(1 / mean)))
            expectations.learn_reply(tenant, SIZE, tokens=min(tokens, 128), is_cut=tokens >= 128)
    brief, long, unknown = (reply_tokens(expectations, tenant) for tenant in ("brief", "long", "unknown"))
    assert brief == pytest.approx(20, rel=0.3)
    assert long == pytest.approx(113, rel=0.2)
    assert brief < unknown < long


def test_the_shares_of_all_cases_are_those_of_the_replies() -> None:
    expectations, chance = Expectations(), random.Random(7)
    replies = [max(1, round(chance.expovariate(1 / 40))) for _ in range(400)]
    for tokens in replies:
        expectations.learn_reply("tenant", SIZE, tokens=min(tokens, 128), is_cut=tokens >= 128)
    for share in (0.2, 0.5, 0.8):
        at_most = expectations.reply_tokens_at("tenant", SIZE, share, prompt_tokens=100)
        assert sum(tokens <= at_most for tokens in replies) / len(replies) == pytest.approx(share, abs=0.1)
    assert expectations.reply_tokens_at("tenant", SIZE, 0.9999, prompt_tokens=100) == 128


def test_newcomers_are_expected_as_they_came_once_there_were_a_few() -> None:
    arrivals = Arrivals()
    for number in range(8):
        assert arrivals.expect(number * 10.0) is None
        arrivals.note(number * 10.0)
        arrivals.learn(cost_tokens=300, seconds=20)
    assert arrivals.expect(80.0) == pytest.approx((10, 300, 20))
    # Nobody came for a while.
    assert arrivals.expect(800.0) == pytest.approx((100, 300, 20))


def test_a_reply_that_never_ends_takes_all_it_may_and_teaches_nothing() -> None:
    expectations = Expectations()
    endless = Size(prompt_bytes=1000, context_tokens=4096, reply_tokens=128, is_endless=True)
    expectations.learn_reply("tenant", endless, tokens=128, is_cut=True)
    expectations.learn_reply("tenant", SIZE, tokens=10, is_cut=False)
    assert reply_tokens(expectations, "tenant", endless) == 128
    assert reply_tokens(expectations, "tenant") == pytest.approx(10, rel=0.1)


def test_prompts_are_expected_from_their_bytes() -> None:
    expectations = Expectations()
    expectations.learn_prompt(SIZE, 500)
    assert expectations.prompt_tokens(SIZE) == 500
    assert expectations.prompt_tokens(Size(prompt_bytes=10**6, context_tokens=2048, reply_tokens=1)) == 2048


def test_every_choice_costs_a_reply_and_the_prompt_counts_once() -> None:
    expectations = Expectations()
    expectations.learn_prompt(SIZE, 500)
    several = Size(prompt_bytes=1000, context_tokens=4096, reply_tokens=128, choices=3)
    assert expectations.cost_tokens("tenant", several) == 500 + 3 * 128


def test_times_are_learnt_apart_for_prompt_and_reply() -> None:
    expectations = Expectations()
    expectations.learn_seconds(prompt_tokens=100, prompt_seconds=1, reply_tokens=10, reply_seconds=2)
    assert expectations.seconds(50, 20) == pytest.approx(0.5 + 4)


def test_new_observations_push_out_old_ones() -> None:
    expectations = Expectations()
    for seconds in [1.0] * 100 + [5.0] * 100:
        expectations.learn_seconds(prompt_tokens=0, prompt_seconds=0, reply_tokens=1, reply_seconds=seconds)
    assert expectations.seconds(0, 1) == pytest.approx(5, rel=0.1)


def test_only_so_many_tenants_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.expectations.MAX_TENANTS", 2)
    expectations = Expectations()
    for number in range(5):
        expectations.learn_reply(f"tenant {number}", SIZE, tokens=10, is_cut=False)
    assert len(expectations._ends_per_token_of) == 2
