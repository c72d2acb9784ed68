"""The folder of what the model has computed for conversations, so that they go on after a restart as if there was none.

A file is one conversation's: llama.cpp's own state file, under a name that says all there is to know about it:
`<conversation>~<fingerprint>~<digest>.state`. There is no index that could disagree with the files. A state is written
under another name first and renamed when it is whole; the digest of its bytes is looked at before it is used, because
llama.cpp ends its process over a torn one.

Owns: the files, their budget, their privacy. Does not own: when one is written, used or no longer wanted (`warmth.py`).
All of it blocks: call it in a thread.
"""

import hashlib
import os
import shutil
import struct
from array import array
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

_SUFFIX, _UNFINISHED = ".state", ".unfinished"
_SEPARATOR = "~"
_DIGEST_BYTES = 16
_READ_BYTES = 1024 * 1024

_HEADER = struct.Struct("<4sII")
_MAGIC = b"qsgg"
_MOST_TOKENS = 1 << 24
_PACKED = -1
"""Begins the words of newer files: then their form, the count of tokens, and the tokens."""
_PACKED_HEAD = 3

_LEFT_FREE_BYTES = 256 * 1024 * 1024
"""The disk is the database's, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptState:
    """One file. `used_at` is when it was last written or used, seconds since 1970."""

    path: Path
    conversation: str
    fingerprint: str
    digest: str
    size_bytes: int
    used_at: float


class KeptStates:
    """The states in one folder, of at most `budget_bytes` together; the least recently used go first."""

    def __init__(self, folder: Path, *, budget_bytes: int) -> None:
        self.folder = folder
        self._budget_bytes = budget_bytes

    def prepare(self, fingerprints: Collection[str]) -> None:
        """Remove what nobody can use any more: unfinished files, and states with other fingerprints than these."""
        for path in self.folder.glob(f"*{_UNFINISHED}"):
            path.unlink(missing_ok=True)
        for state in self.scan():
            if state.fingerprint not in fingerprints:
                self.remove(state)
        self._make_room(0)

    def scan(self) -> list[KeptState]:
        """Return every state, the least recently used first."""
        states = []
        for path in self.folder.glob(f"*{_SUFFIX}"):
            parts = path.name.removesuffix(_SUFFIX).split(_SEPARATOR)
            try:
                found = path.stat()
                conversation, fingerprint, digest = parts
            except FileNotFoundError:
                continue
            except ValueError:
                path.unlink(missing_ok=True)
                continue
            states.append(
                KeptState(
                    path=path,
                    conversation=conversation,
                    fingerprint=fingerprint,
                    digest=digest,
                    size_bytes=found.st_size,
                    used_at=found.st_mtime,
                )
            )
        return sorted(states, key=lambda state: state.used_at)

    def find(self, conversation: str, fingerprint: str) -> KeptState | None:
        """Return a conversation's newest state of this fingerprint."""
        wanted = (state for state in reversed(self.scan()) if state.conversation == conversation)
        return next((state for state in wanted if state.fingerprint == fingerprint), None)

    def check(self, state: KeptState) -> bool:
        """Say whether a state is whole, and note that it is used; one that is not is removed."""
        try:
            is_whole = _digest(state.path) == state.digest
            if is_whole:
                os.utime(state.path)
        except OSError:
            is_whole = False
        if not is_whole:
            self.remove(state)
        return is_whole

    def begin(self, conversation: str, *, expected_bytes: int) -> str | None:
        """Make room for a state; returns the name that it shall be written under, None when it is too large."""
        is_too_large = expected_bytes > self._budget_bytes
        if is_too_large or shutil.disk_usage(self.folder).free < expected_bytes + _LEFT_FREE_BYTES:
            return None
        self._make_room(expected_bytes)
        return f"{conversation}{_UNFINISHED}"

    def finish(self, name: str, conversation: str, fingerprint: str) -> None:
        """Keep a state that was written whole, in place of the conversation's earlier ones. Raises `OSError`."""
        path = self.folder / name
        path.chmod(0o600)
        earlier = [state for state in self.scan() if state.conversation == conversation]
        whole = self.folder / (_SEPARATOR.join((conversation, fingerprint, _digest(path))) + _SUFFIX)
        path.rename(whole)
        for state in earlier:
            if state.path != whole:
                self.remove(state)
        self._make_room(0)

    def abandon(self, name: str) -> None:
        """Remove what was written of a state that is not to be kept."""
        (self.folder / name).unlink(missing_ok=True)

    def remove(self, state: KeptState) -> None:
        """Remove a state; one that is gone already is no matter."""
        state.path.unlink(missing_ok=True)

    def _make_room(self, needed_bytes: int) -> None:
        states = self.scan()
        excess = sum(state.size_bytes for state in states) + needed_bytes - self._budget_bytes
        for state in states:
            if excess <= 0:
                return
            self.remove(state)
            excess -= state.size_bytes


def make_folder(folder: Path) -> None:
    """Make a folder for states that this user alone can enter. Raises `OSError`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def remove_all(folder: Path) -> None:
    """Remove every state of a folder, where none are to be kept any more."""
    if folder.is_dir():
        KeptStates(folder, budget_bytes=0).prepare(())
        if not any(folder.iterdir()):
            folder.rmdir()


def read_tokens(path: Path) -> Sequence[int]:
    """Return the tokens that a state file of llama.cpp's was computed from; none where it cannot be read."""
    try:
        with path.open("rb") as file:
            magic, _, count = _HEADER.unpack(file.read(_HEADER.size))
            if magic != _MAGIC or count > _MOST_TOKENS:
                return ()
            words = array("i", file.read(count * 4))
    except (OSError, struct.error, ValueError):
        return ()
    if words[:1] != array("i", [_PACKED]):
        return words
    return words[_PACKED_HEAD : _PACKED_HEAD + max(0, words[2])] if len(words) >= _PACKED_HEAD else ()


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Count the tokens that two sequences begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (mine, theirs) in pairs if mine != theirs), min(len(one), len(other)))


def _digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
