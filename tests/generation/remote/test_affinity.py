from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from generation.engine import Message
from generation.remote.address import Address, read_addresses
from generation.remote.affinity import rank
from generation.remote.prompt import RemotePrompt, find_affinity

SERVERS = read_addresses("http://a:1,http://b:1/v1,https://c/openai/v1,http://[::1]:8080")
KEYS = [f"conversation {number}".encode() for number in range(2000)]


def test_an_address_is_taken_with_and_without_its_version() -> None:
    assert [each.root for each in SERVERS] == ["http://a:1", "http://b:1", "https://c/openai", "http://[::1]:8080"]
    assert [each.number for each in SERVERS] == [1, 2, 3, 4]


def test_every_server_gets_its_part() -> None:
    counts = Counter(rank(key, SERVERS)[0] for key in KEYS)
    assert all(400 < count < 600 for count in counts.values())


def test_only_the_conversations_of_a_server_that_leaves_move_and_they_spread() -> None:
    gone, *left = SERVERS
    moved = Counter[Address]()
    for key in KEYS:
        before, after = rank(key, SERVERS)[0], rank(key, left)[0]
        if before is gone:
            moved[after] += 1
        else:
            assert after is before
    assert len(moved) == len(left)


def test_the_order_of_the_list_does_not_matter() -> None:
    turned = read_addresses("http://[::1]:8080,https://c/openai/v1,http://b:1,http://a:1")
    for key in KEYS[:50]:
        assert [each.root for each in rank(key, turned)] == [each.root for each in rank(key, SERVERS)]


turns = st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text(max_size=20)), max_size=6)


@given(st.lists(st.text(max_size=20), max_size=2), st.text(max_size=20), turns)
def test_a_conversation_keeps_its_key_as_it_grows(system: list[str], first: str, later: list[tuple[str, str]]) -> None:
    begun = [*(Message("system", text) for text in system), Message("user", first)]
    grown = [*begun, *(Message(role, text) for role, text in later)]  # type: ignore[arg-type]
    assert find_affinity(begun) == find_affinity(grown)


def test_conversations_that_begin_differently_have_other_keys() -> None:
    keys = {
        find_affinity(messages)
        for messages in (
            [Message("user", "ab")],
            [Message("user", "abc")],
            [Message("system", "a"), Message("user", "b")],
            [Message("system", "a"), Message("system", "b")],
            [Message("assistant", "ab")],
        )
    }
    assert len(keys) == 5


def test_a_prompt_is_its_ids() -> None:
    prompt = RemotePrompt([1, 2], affinity=b"x")
    assert prompt == [1, 2]
    assert len(prompt) == 2
