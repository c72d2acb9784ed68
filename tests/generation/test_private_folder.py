import fcntl
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO

import pytest

from generation import private_folder
from generation.errors import ModelError
from generation.private_folder import PrivateFolder


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder for temporary folders, with a short path."""
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def test_only_its_owner_can_enter_and_closing_removes_it(place: Path) -> None:
    folder = PrivateFolder()
    assert folder.path.parent == place
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    (folder.path / "1.sock").touch()
    folder.close()
    folder.close()
    assert not folder.path.exists()


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_stays(place: Path) -> None:
    used = PrivateFolder()
    abandoned = PrivateFolder()
    abandoned._lock.close()
    strange = place / "parley-notes"
    strange.mkdir()
    newest = PrivateFolder()
    assert used.path.exists()
    assert not abandoned.path.exists()
    assert strange.exists()
    used.close()
    newest.close()


def test_a_folder_that_another_process_clears_away_before_it_is_held_is_made_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleared: list[Path] = []
    lock_as_usual = fcntl.flock

    def come_late(lock: BinaryIO, operation: int) -> None:
        if not cleared:
            cleared.append(Path(lock.name).parent)
            private_folder._remove_abandoned(place)
        lock_as_usual(lock, operation)

    monkeypatch.setattr(fcntl, "flock", come_late)
    folder = PrivateFolder()
    assert not cleared[0].exists()
    assert folder.path.exists()
    PrivateFolder().close()
    assert folder.path.exists(), "it is held"
    folder.close()


def test_a_long_path_is_avoided(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = place / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    folder = PrivateFolder()
    assert len(str(folder.path / "1.sock")) < 104
    assert not any(long.iterdir())
    folder.close()


def test_no_place_at_all_is_said(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generation.private_folder._LONGEST_SOCKET_PATH", 10)
    with pytest.raises(ModelError, match="set TMPDIR"):
        PrivateFolder()
