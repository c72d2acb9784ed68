"""`make native`: builds llama.cpp's server for this very processor, from the source that llama-cpp-python publishes.

The packaged engine is built for any processor of its kind; one built for this one may compute faster
(docs/decisions/0023-speed.md). Takes about ten minutes on two cores and can be interrupted: it goes on where it was.
Does not own: when the server is used (`native.py`).
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from parley.failure import FailureError
from parley.native import FOLDER, SOURCE_VERSION, Build, answers, server_path

WORKSHOP = Path("build/native")
"""Where source and half-made things lie; may be deleted."""

_PACKAGE = "llama-cpp-python"
_SOURCE = f"llama_cpp_python-{SOURCE_VERSION}"
_INNER = f"{_SOURCE}/vendor/llama.cpp/"

_OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DGGML_NATIVE=ON",
    # One file that can be copied and needs no other.
    "-DBUILD_SHARED_LIBS=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_SERVER=ON",
    # Served on a private socket, to Parley alone: no web page, which would be fetched from the net, and no TLS.
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
    # The package's source is no git repository; asked for its commit, git says that something is fatal.
    "-DCMAKE_DISABLE_FIND_PACKAGE_Git=ON",
    "-DGIT_EXE=",
    "-DGIT_EXECUTABLE=",
)


def main() -> None:
    """Build and install; ends with one line that says what is wrong where something is."""
    try:
        require_tools()
        source = fetch_source(WORKSHOP)
        built = build(source, build_folder(WORKSHOP))
        install(built, FOLDER)
    except FailureError as error:
        sys.exit(f"make native: {error}")
    except KeyboardInterrupt:
        sys.exit("make native: interrupted; it goes on where it was when it is run again")
    _say(f"{server_path()} is built; Parley uses it from its next start on")


def require_tools() -> None:
    """Raise `FailureError` when the machine lacks what a build needs."""
    compilers = [os.environ[name] for name in ("CXX",) if name in os.environ] or ["c++", "g++", "clang++"]
    missing = [] if shutil.which("cmake") else ["cmake"]
    missing += [] if any(map(shutil.which, compilers)) else ["a C++ compiler"]
    missing += [] if shutil.which("ninja") or shutil.which("make") else ["make"]
    if missing:
        raise FailureError(
            f"this machine lacks {' and '.join(missing)}; on Debian and Ubuntu: apt install cmake g++ make"
        )


def fetch_source(workshop: Path) -> Path:
    """Download the package's source and unpack llama.cpp; returns its folder."""
    source = workshop / _INNER
    if not (source / "CMakeLists.txt").exists():
        workshop.mkdir(parents=True, exist_ok=True)
        _say(f"fetching the source of {_PACKAGE} {SOURCE_VERSION}")
        wanted = ["--no-deps", "--no-binary", _PACKAGE, f"{_PACKAGE}=={SOURCE_VERSION}"]
        _run([sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(workshop), *wanted], "the download")
        _unpack(workshop / f"{_SOURCE}.tar.gz", workshop)
    return source


def _unpack(package: Path, workshop: Path) -> None:
    """Unpack llama.cpp; interrupted, it leaves nothing that could be taken for the whole of it."""
    with tempfile.TemporaryDirectory(dir=workshop) as arriving, tarfile.open(package) as archive:
        inner = [member for member in archive if member.name.startswith(_INNER)]
        archive.extractall(arriving, members=inner, filter="data")
        shutil.rmtree(workshop / _SOURCE, ignore_errors=True)
        (Path(arriving) / _SOURCE).replace(workshop / _SOURCE)


def build_folder(workshop: Path) -> Path:
    """Name the folder of half-made things: what was compiled from other source or for another processor is no use."""
    build = Build.of_today()
    return workshop / f"build-{build.source}-{hashlib.sha256(build.processor.encode()).hexdigest()[:8]}"


def build(source: Path, folder: Path) -> Path:
    """Compile; returns the server that came of it."""
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    _say("preparing the build")
    _run(
        ["cmake", "--log-level=ERROR", "-S", str(source), "-B", str(folder), *generator, *_OPTIONS],
        "preparing the build",
    )
    _say("building, which takes about ten minutes on two cores")
    jobs = str(os.cpu_count() or 1)
    _run(["cmake", "--build", str(folder), "--target", "llama-server", "--parallel", jobs], "the build")
    return folder / "bin/llama-server"


def install(built: Path, folder: Path) -> None:
    """Put the server where Parley looks for it; one that runs there now goes on running. Raises `FailureError`."""
    if not answers(built):
        raise FailureError("what was built does not run; the lines above may say why")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    arriving = server_path(folder).with_suffix(".new")
    shutil.copy2(built, arriving)
    arriving.replace(server_path(folder))
    Build.of_today().write(folder)


def _run(command: Sequence[str], what: str) -> None:
    if subprocess.run(command, check=False).returncode:  # noqa: S603 - our own words
        raise FailureError(f"{what} failed; the lines above say why")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
