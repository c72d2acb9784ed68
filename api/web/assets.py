"""The pages' files: style sheets, modules, libraries. Read and compressed once, then served from memory.

Owns: their addresses, compression and caching. The version in an address is a digest of all of them, so a browser may
keep each for ever and still never mixes two releases. Does not own: the files (`../static`).
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from aiohttp import hdrs, web

from api.errors import ApiError, Kind

ROOT = "/static"
FOR_EVER = "public, max-age=31536000, immutable"
SMALLEST_COMPRESSED = 512
"""Bytes below which compressing costs more than it saves."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent; `compressed` is None where that would not be shorter."""

    content_type: str
    plain: bytes
    compressed: bytes | None
    etag: str


class Assets:
    """Every file, by its name below the folder."""

    def __init__(self, folder: Traversable) -> None:
        self._assets = {name: _read(name, path) for name, path in _walk(folder)}
        etags = "".join(f"{name}{asset.etag}" for name, asset in sorted(self._assets.items()))
        self._version = hashlib.sha256(etags.encode()).hexdigest()[:12]

    def url(self, name: str) -> str:
        """Give the address of a file; raises `KeyError` for one that is not there."""
        self._assets[name]
        return f"{ROOT}/{self._version}/{name}"

    def serve(self, request: web.Request) -> web.Response:
        """Answer one file, also under an older version's address, which is then not kept."""
        asset = self._assets.get(request.match_info["name"])
        if asset is None:
            raise ApiError(404, "Not found", "There is no such file.", kind=Kind.UNKNOWN_ROUTE)
        is_current = request.match_info["version"] == self._version
        headers = {
            "ETag": f'"{asset.etag}"',
            "Vary": "Accept-Encoding",
            "Cache-Control": FOR_EVER if is_current else "no-cache",
        }
        if any(etag.value in {asset.etag, "*"} for etag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        body = asset.plain
        if asset.compressed is not None and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            body = asset.compressed
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=body, headers={**headers, "Content-Type": asset.content_type})


@cache
def load_assets() -> Assets:
    """Read the files that come with the package, once per process."""
    return Assets(files("api").joinpath("static"))


async def serve(request: web.Request) -> web.Response:
    """Answer `GET /static/{version}/{name}`."""
    return load_assets().serve(request)


def _walk(folder: Traversable, prefix: str = "") -> list[tuple[str, Traversable]]:
    found = []
    for path in folder.iterdir():
        if path.is_dir():
            found += _walk(path, f"{prefix}{path.name}/")
        elif path.is_file():
            found.append((prefix + path.name, path))
    return found


def _read(name: str, path: Traversable) -> Asset:
    plain = path.read_bytes()
    small = gzip.compress(plain, 9, mtime=0) if len(plain) >= SMALLEST_COMPRESSED else plain
    kind = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0] or "text/plain"
    content_type = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
    compressed = small if len(small) < len(plain) else None
    return Asset(content_type, plain, compressed, hashlib.sha256(plain).hexdigest()[:24])
