"""Finds the model file an operator names: a path, or a file on the Hugging Face Hub, downloaded once.

Owns: the form `hf:owner/repo/path/file.gguf`, downloading with progress and resuming, and saying in one line what went
wrong. Does not own: the bundled demo model (`models/`), which models are worth naming (`recommended.py`).

`huggingface_hub` does the talking. Its `hf_hub_download` is not used, because since release 2 it throws the part of an
interrupted download away.
"""

import errno
import fcntl
import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from generation.errors import ModelError
from generation.gguf_file import read_gguf_header

_PREFIX = "hf:"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_SHARDS = 200
_GIGABYTE = 10**9
_METADATA_TIMEOUT_SECONDS = 10
_UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a Hub repository."""

    repository: str
    path: str

    @classmethod
    def parse(cls, spec: str) -> Self:
        """Read `hf:owner/repo/path/file.gguf`; raises `ModelError`."""
        owner, _, rest = spec.removeprefix(_PREFIX).partition("/")
        name, _, path = rest.partition("/")
        parts = (owner, name, *path.split("/"))
        if not path.endswith(".gguf") or not all(_NAME.fullmatch(part) for part in parts):
            raise ModelError(f"{spec} is not of the form hf:owner/repository/file.gguf")
        return cls(f"{owner}/{name}", path)

    def with_shards(self) -> list[Self]:
        """List the files that make up the model: several when its name says `-00001-of-00003`."""
        match = _SHARD.fullmatch(self.path)
        if match is None or not 1 < int(match[3]) <= _MOST_SHARDS:
            return [self]
        names = (f"{match[1]}-{number:05}-of-{match[3]}.gguf" for number in range(1, int(match[3]) + 1))
        return [type(self)(self.repository, name) for name in names]


@dataclass(frozen=True, slots=True)
class _Remote:
    """What the Hub says of a file: where it is, its version, its size."""

    url: str
    etag: str
    size_bytes: int
    headers: dict[str, str]


def fetch_model(spec: str, *, cache_folder: Path, endpoint: str | None = None) -> Path:
    """Return the path of the model file that `spec` names, downloading it if it is not there yet.

    Blocks for as long as that takes; shows a progress bar on a terminal; goes on where an interrupted download stopped.
    Downloads lie at `cache_folder/owner/repo/path`, and need no network any more. `endpoint` is the Hub's base URL, by
    default `HF_ENDPOINT` or the public one.
    Raises `ModelError` with what to do.
    """
    if not spec.startswith(_PREFIX):
        path = Path(spec).expanduser()
        read_gguf_header(path)
        return path
    files = HubFile.parse(spec).with_shards()
    paths = [_fetch_file(file, cache_folder / file.repository / file.path, endpoint) for file in files]
    read_gguf_header(paths[0])
    return paths[0]


def _fetch_file(file: HubFile, target: Path, endpoint: str | None) -> Path:
    if target.exists():
        return target
    # Imported where needed: it takes as long as the rest of a start, and a model that is there needs none of it.
    from huggingface_hub import errors  # noqa: PLC0415

    # The base of the HTTP library's own errors, by the name under which this package has it.
    network_error: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]
    try:
        remote = _ask_for(file, endpoint)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.{hashlib.sha256(remote.etag.encode()).hexdigest()[:16]}.part")
        with _open_alone(partial) as output:
            _download(remote, output)
        _check_digest(partial, remote.etag)
        partial.rename(target)
    except (network_error, OSError) as error:
        raise ModelError(_explain(error, file, target)) from None
    return target


def _ask_for(file: HubFile, endpoint: str | None) -> _Remote:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url  # noqa: PLC0415
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # noqa: PLC0415

    url = hf_hub_url(file.repository, file.path, endpoint=endpoint)
    said = get_hf_file_metadata(url, timeout=_METADATA_TIMEOUT_SECONDS, endpoint=endpoint)
    if said.etag is None or said.size is None:
        raise ConnectionError(errno.EPROTO, "the Hub did not describe the file")
    return _Remote(url, said.etag, said.size, build_hf_headers())


@contextmanager
def _open_alone(path: Path) -> Iterator[BinaryIO]:
    """Open a partial download for going on with it, unless another process is at it."""
    with path.open("ab") as output:
        try:
            fcntl.flock(output, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ModelError(f"{path} is being downloaded by another process; wait for it, or stop it") from None
        yield output


def _download(remote: _Remote, output: BinaryIO) -> None:
    from huggingface_hub.file_download import http_get  # noqa: PLC0415

    done = output.tell()
    free, missing = shutil.disk_usage(Path(output.name).parent).free, remote.size_bytes - done
    if missing > free:
        raise OSError(errno.ENOSPC, f"{missing / _GIGABYTE:.1f} GB are missing and {free / _GIGABYTE:.1f} GB are free")
    http_get(remote.url, output, resume_size=done, headers=remote.headers, expected_size=remote.size_bytes)


def _check_digest(path: Path, etag: str) -> None:
    """Large files have their SHA-256 as etag; a download put together from parts is worth the check."""
    if not _SHA256.fullmatch(etag):
        return
    with path.open("rb") as data:
        found = hashlib.file_digest(data, "sha256").hexdigest()
    if found != etag:
        path.unlink()
        raise ModelError(f"the download of {path.name} arrived damaged and was deleted; start again")


def _explain(error: Exception, file: HubFile, target: Path) -> str:
    """Say what went wrong with a download, and what to do."""
    from huggingface_hub import errors  # noqa: PLC0415

    where = f"{file.path} of {file.repository}"
    match error:
        case errors.GatedRepoError():
            return f"{file.repository} is gated: accept its terms on the Hub, then set HF_TOKEN to your access token"
        case errors.RepositoryNotFoundError():
            return f"there is no repository {file.repository}, or it is private; check the name, or set HF_TOKEN"
        case errors.RemoteEntryNotFoundError() | errors.RevisionNotFoundError():
            return f"there is no file {where}; look up its exact name on the Hub"
        case errors.HfHubHTTPError() if error.response.status_code == _UNAUTHORIZED:
            return f"the Hub does not let you have {where}; set HF_TOKEN to a valid access token"
        case errors.HfHubHTTPError():
            return f"the Hub answered with status {error.response.status_code} for {where}; try again later"
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return f"the disk of {target.parent} is full; make room and start again, what was downloaded is kept"
        case OSError(errno=errno.EACCES | errno.EROFS | errno.EPERM | errno.ENOTDIR | errno.EEXIST):
            return f"cannot write to {target.parent}: {error.strerror}"
        case _:
            return f"could not download {where}: check the network and start again, what was downloaded is kept"
