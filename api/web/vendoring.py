"""Fetches the libraries of the pages from the npm registry, with their licences. `make vendor` runs it.

Owns: which libraries there are, at which version, and which of their files are served. The files are committed, so
that nothing is fetched where Parley runs; a test holds them against `VERSIONS`. Does not own: serving (`assets.py`).
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "static" / "vendor"
VERSIONS: Final = FOLDER / "VERSIONS"


@dataclass(frozen=True, slots=True)
class Library:
    """One package. `files` are paths inside it, licences included; they keep their names."""

    name: str
    version: str
    licence: str
    files: tuple[str, ...]

    @property
    def folder(self) -> str:
        """The folder its files lie in."""
        return self.name.lstrip("@").replace("/", "-")


LIBRARIES: Final = (
    # Its package holds no licence file: LICENSE.md beside it is its repository's, kept by hand.
    Library("@alpinejs/csp", "3.17.4", "MIT", ("dist/module.esm.min.js",)),
    Library("marked", "18.2.1", "MIT", ("lib/marked.esm.js", "LICENSE")),
    Library("dompurify", "3.4.18", "MPL-2.0 OR Apache-2.0", ("dist/purify.min.js", "LICENSE", "LICENSE-MPL")),
    Library("uplot", "1.6.32", "MIT", ("dist/uPlot.iife.min.js", "dist/uPlot.min.css", "LICENSE")),
)


def vendor(npm: str) -> None:
    """Put every library's files in place, as published, and write what they are."""
    for library in LIBRARIES:
        with TemporaryDirectory() as folder:
            _unpack(npm, library, Path(folder))
            place = FOLDER / library.folder
            place.mkdir(parents=True, exist_ok=True)
            for name in library.files:
                shutil.copyfile(Path(folder) / "package" / name, place / Path(name).name)
    VERSIONS.write_text(describe(), "utf-8")


def describe() -> str:
    """Name each library with its version and licence, and each of its files with its SHA-256."""
    lines = ["From the npm registry, unchanged, by `make vendor`."]
    for library in LIBRARIES:
        lines += ["", f"{library.name} {library.version} ({library.licence})"]
        paths = sorted((FOLDER / library.folder).iterdir())
        lines += [f"  {hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in paths]
    return "\n".join(lines) + "\n"


def _unpack(npm: str, library: Library, folder: Path) -> None:
    spec = f"{library.name}@{library.version}"
    subprocess.run([npm, "pack", "--silent", spec], cwd=folder, check=True)  # noqa: S603 - a fixed list
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        archive.extractall(folder, filter="data")


if __name__ == "__main__":
    vendor(str(Path(sys.executable).with_name("npm")))
