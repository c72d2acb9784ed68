"""The folder of kept states: whole or not at all, within its budget, and for nobody else to read."""

import os
import struct
from array import array
from collections.abc import Sequence
from pathlib import Path

import pytest

from generation import kept_states
from generation.kept_states import KeptStates, common_prefix, make_folder, read_tokens, remove_all

SIZE = 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "states"
    make_folder(folder)
    return folder


def keep(states: KeptStates, conversation: str, *, used_at: float, fingerprint: str = "f", size: int = SIZE) -> None:
    name = states.begin(conversation, expected_bytes=size)
    assert name is not None
    (states.folder / name).write_bytes(conversation.encode() * (size // len(conversation)))
    states.finish(name, conversation, fingerprint)
    found = states.find(conversation, fingerprint)
    assert found is not None
    os.utime(found.path, (used_at, used_at))


def names(states: KeptStates) -> list[str]:
    return [state.conversation for state in states.scan()]


def test_a_state_is_found_again_and_only_by_its_conversation_and_fingerprint(folder: Path) -> None:
    states = KeptStates(folder, budget_bytes=10 * SIZE)
    keep(states, "aaaa", used_at=1)
    found = states.find("aaaa", "f")
    assert found is not None
    assert states.check(found)
    assert (states.find("bbbb", "f"), states.find("aaaa", "other")) == (None, None)


def test_a_newer_state_takes_the_place_of_the_conversations_earlier_ones(folder: Path) -> None:
    states = KeptStates(folder, budget_bytes=10 * SIZE)
    keep(states, "aaaa", used_at=1, fingerprint="f")
    keep(states, "aaaa", used_at=2, fingerprint="g", size=500)
    assert [(state.fingerprint, state.size_bytes) for state in states.scan()] == [("g", 500)]


def test_nobody_else_can_read_it(folder: Path) -> None:
    states = KeptStates(folder, budget_bytes=10 * SIZE)
    keep(states, "aaaa", used_at=1)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600]


def test_the_least_recently_used_make_room_and_the_budget_holds_while_a_new_one_is_written(folder: Path) -> None:
    states = KeptStates(folder, budget_bytes=3 * SIZE)
    for at, conversation in enumerate(("aaaa", "bbbb", "cccc")):
        keep(states, conversation, used_at=at)
    used = states.find("aaaa", "f")
    assert used is not None
    states.check(used)
    assert states.begin("dddd", expected_bytes=2 * SIZE) is not None
    assert names(states) == ["aaaa"]
    assert states.begin("dddd", expected_bytes=3 * SIZE + 1) is None
    assert names(states) == ["aaaa"]


def test_a_lower_budget_holds_from_the_start(folder: Path) -> None:
    for at, conversation in enumerate(("aaaa", "bbbb", "cccc")):
        keep(KeptStates(folder, budget_bytes=3 * SIZE), conversation, used_at=at)
    states = KeptStates(folder, budget_bytes=SIZE)
    states.prepare({"f"})
    assert names(states) == ["cccc"]


def test_a_disk_that_is_nearly_full_is_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_states, "_LEFT_FREE_BYTES", 1 << 62)
    assert KeptStates(folder, budget_bytes=3 * SIZE).begin("aaaa", expected_bytes=SIZE) is None


@pytest.mark.parametrize("damage", ["torn", "changed", "gone"])
def test_a_damaged_state_is_noticed_and_removed(folder: Path, damage: str) -> None:
    states = KeptStates(folder, budget_bytes=10 * SIZE)
    keep(states, "aaaa", used_at=1)
    (state,) = states.scan()
    data = bytearray(state.path.read_bytes())
    data[SIZE // 2] ^= 1
    if damage == "gone":
        state.path.unlink()
    else:
        state.path.write_bytes(data if damage == "changed" else data[: SIZE // 2])
    assert not states.check(state)
    assert list(folder.iterdir()) == []


def test_a_start_removes_other_models_states_unfinished_ones_and_strange_names(folder: Path) -> None:
    states = KeptStates(folder, budget_bytes=10 * SIZE)
    keep(states, "aaaa", used_at=1, fingerprint="old")
    keep(states, "bbbb", used_at=2, fingerprint="new")
    name = states.begin("cccc", expected_bytes=SIZE)
    assert name is not None
    (folder / name).write_bytes(b"half")
    (folder / "strange.state").write_bytes(b"?")
    states.prepare({"new"})
    assert [path.name.partition("~")[0] for path in folder.iterdir()] == ["bbbb"]


def test_where_nothing_may_be_kept_the_folder_goes(folder: Path, tmp_path: Path) -> None:
    keep(KeptStates(folder, budget_bytes=10 * SIZE), "aaaa", used_at=1)
    remove_all(folder)
    assert not folder.exists()
    remove_all(tmp_path / "never made")


def write_state(path: Path, words: Sequence[int]) -> Path:
    path.write_bytes(struct.pack("<4sII", b"qsgg", 4, len(words)) + array("i", words).tobytes() + b"values")
    return path


def test_the_tokens_of_a_state_are_read_in_both_forms(tmp_path: Path) -> None:
    assert list(read_tokens(write_state(tmp_path / "plain", [1, 5, 6]))) == [1, 5, 6]
    assert list(read_tokens(write_state(tmp_path / "packed", [-1, 1, 3, 1, 5, 6, 0]))) == [1, 5, 6]


@pytest.mark.parametrize(
    "data", [b"", b"GGUF" + bytes(20), b"qsgg" + bytes(4) + b"\xff" * 4, b"qsgg\x04\0\0\0\x02\0\0\0\0"]
)
def test_what_is_no_state_has_no_tokens(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    assert list(read_tokens(tmp_path / "file")) == []
    assert list(read_tokens(tmp_path / "missing")) == []


def test_tokens_in_common_are_counted_from_the_start() -> None:
    assert [common_prefix([1, 2, 3], other) for other in ([1, 2, 4], [1, 2], [1, 2, 3, 4], [], [2])] == [2, 2, 3, 0, 0]
