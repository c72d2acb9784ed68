from generation.recency import Recency


def test_the_last_of_each_slot_are_in_memory_whatever_their_size() -> None:
    recency = Recency(slots=2, cache_tokens=0)
    for number in range(4):
        recency.note(number, tokens=1000, slot=number % 2)
    assert [number in recency for number in range(4)] == [False, False, True, True]


def test_those_before_them_are_as_far_as_the_cache_reaches() -> None:
    recency = Recency(slots=1, cache_tokens=250)
    for number in range(5):
        recency.note(number, tokens=100, slot=0)
    assert [number in recency for number in range(5)] == [False, False, True, True, True]


def test_a_sequence_that_goes_on_is_the_latest_again() -> None:
    recency = Recency(slots=2, cache_tokens=0)
    for name in ("a", "b", "a", "c"):
        recency.note(name, tokens=10, slot=None)
    assert [name in recency for name in ("a", "b", "c")] == [True, False, True]


def test_what_a_slot_held_last_is_lost_when_it_is_overwritten() -> None:
    recency = Recency(slots=2, cache_tokens=100)
    recency.note("a", tokens=10, slot=1)
    recency.note("b", tokens=10, slot=1)
    recency.overwrite(1)
    recency.overwrite(0)
    assert [name in recency for name in ("a", "b")] == [True, False]
