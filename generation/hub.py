"""Finds the model file an operator names: a path, or a file on the Hugging Face Hub, downloaded once.

Owns: the form `hf:owner/repo/path/file.gguf`, downloading with progress and resuming, and saying in one line what went
wrong. Does not own: the bundled demo model (`models/`), which models are worth naming (`recommended.py`).
"""

import errno
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from generation.errors import ModelError
from generation.gguf_file import read_gguf_header

_PREFIX = "hf:"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf")
_MOST_SHARDS = 200


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


def fetch_model(spec: str, *, cache_folder: Path, endpoint: str | None = None) -> Path:
    """Return the path of the model file that `spec` names, downloading it if it is not there yet.

    Blocks for as long as that takes; shows a progress bar on a terminal; goes on where an interrupted download stopped.
    `endpoint` is the Hub's base URL, by default `HF_ENDPOINT` or the public one. A downloaded file needs no network.
    Raises `ModelError` with what to do.
    """
    if not spec.startswith(_PREFIX):
        path = Path(spec).expanduser()
        read_gguf_header(path)
        return path
    files = HubFile.parse(spec).with_shards()
    paths = [_find_cached(file, cache_folder) or _download(file, cache_folder, endpoint) for file in files]
    read_gguf_header(paths[0])
    return paths[0]


def _find_cached(file: HubFile, cache_folder: Path) -> Path | None:
    # Imported here and below: it takes as long as the rest of a start, and a local model needs none of it.
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415

    found = try_to_load_from_cache(file.repository, file.path, cache_dir=cache_folder)
    return Path(found) if isinstance(found, str) else None


def _download(file: HubFile, cache_folder: Path, endpoint: str | None) -> Path:
    from huggingface_hub import errors, hf_hub_download  # noqa: PLC0415

    # The base of the HTTP library's own errors, by the name under which this package has it.
    network_error: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]
    try:
        return Path(hf_hub_download(file.repository, file.path, cache_dir=cache_folder, endpoint=endpoint))
    except (network_error, OSError) as error:
        raise ModelError(_explain(error, file, cache_folder)) from None


def _explain(error: Exception, file: HubFile, cache_folder: Path) -> str:
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
        case errors.HfHubHTTPError():
            return f"the Hub answered with status {error.response.status_code} for {where}; try again later"
        case errors.LocalEntryNotFoundError(__cause__=errors.HfHubHTTPError() as cause):
            return _explain(cause, file, cache_folder)
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return f"the disk is full; make room in {cache_folder} and start again, what was downloaded is kept"
        case OSError(errno=errno.EACCES | errno.EROFS | errno.EPERM):
            return f"cannot write to {cache_folder}: {error.strerror}"
        case _:
            return f"could not download {where}: check the network and start again, what was downloaded is kept"
