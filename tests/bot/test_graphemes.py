"""Characters as people see them."""

import pytest

from bot.graphemes import is_boundary


@pytest.mark.parametrize(
    "cluster",
    [
        "👨‍👩‍👧‍👦",
        "👍🏽",
        "🇩🇪",
        "❤️",
        "1️⃣",
        "e\u0301",
        "🏴\U000e0067\U000e0062\U000e007f",
        "\r\n",
        "ᄀ\u1161\u11a8",
        "각\u11a8",
    ],
)
def test_a_cluster_has_no_boundary_inside_and_one_on_each_side(cluster: str) -> None:
    text = f"a{cluster}b"
    inside = [position for position in range(2, len(cluster) + 1) if is_boundary(text, position)]
    assert inside == []
    assert is_boundary(text, 1)
    assert is_boundary(text, len(cluster) + 1)


def test_flags_in_a_row_are_cut_between_pairs_only() -> None:
    text = "🇩🇪🇫🇷🇯🇵"
    assert [position for position in range(1, 6) if is_boundary(text, position)] == [2, 4]


def test_plain_letters_may_be_cut_anywhere() -> None:
    assert all(is_boundary("plain", position) for position in range(6))
