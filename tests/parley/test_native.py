"""Which llama-server runs: the operator's own, the one that `make native` built, or the package's."""

import io
import logging
import tarfile
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from generation.devices import ComputesOn
from generation.gguf_file import read_gguf_header
from generation.launch import choose_batch_tokens, plan_child
from parley import native_build
from parley.demo_model import demo_path
from parley.failure import FailureError
from parley.model_file import choose_model
from parley.native import SOURCE_VERSION, Build, describe_processor, find_native_server, server_path
from parley.native_build import build_folder, fetch_source, install, require_tools
from parley.settings import load_settings


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def program(path: Path, *, status: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nexit {status}\n")
    path.chmod(0o755)
    return path


def installed(build: Build | None = None, *, status: int = 0) -> Path:
    """Put a program in the server's place, built as said, and today where nothing is said."""
    server = program(server_path(), status=status)
    (build or Build.of_today()).write(server.parent)
    return server


def test_without_one_the_package_runs() -> None:
    assert find_native_server() is None
    assert choose_model(load_settings()).config.server_binary is None


def test_one_that_was_built_here_runs_in_batches_for_this_processor() -> None:
    server = installed()
    config = choose_model(load_settings()).config
    assert (config.server_binary, config.computes_on) == (server, ComputesOn.PROCESSOR)
    header = read_gguf_header(demo_path())
    planned = plan_child(config, header, socket_path=Path("s"), api_key="key")
    assert planned.server_binary == str(server.absolute())
    assert planned.batch_tokens == choose_batch_tokens(header.parameters, planned.threads)
    own = replace(config, computes_on=ComputesOn.GPU)
    assert plan_child(own, header, socket_path=Path("s"), api_key="key").batch_tokens == 0


def test_the_operators_own_goes_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed()
    own = program(tmp_path / "own/llama-server")
    monkeypatch.setenv("PARLEY_LLAMA_SERVER", str(own))
    config = choose_model(load_settings()).config
    assert (config.server_binary, config.computes_on) == (own, ComputesOn.UNKNOWN)


def test_the_other_engine_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    installed()
    monkeypatch.setenv("PARLEY_ENGINE", "ctransformers")
    assert choose_model(load_settings()).config.server_binary is None


@pytest.mark.parametrize(
    ("build", "status", "reason"),
    [
        (None, 1, "does not run"),
        (Build("0.3.2", describe_processor()), 0, "is older than needed"),
        (Build(SOURCE_VERSION, "vax"), 0, "was built for another processor"),
    ],
)
def test_one_that_is_of_no_use_is_passed_over_and_that_is_said(
    build: Build | None, status: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    installed(build, status=status)
    with caplog.at_level(logging.WARNING):
        assert choose_model(load_settings()).config.server_binary is None
    assert f"data/native/llama-server {reason}" in caplog.text
    assert "run make native again" in caplog.text


@pytest.mark.parametrize("said", ["", "[]", "{}", '{"source": 1}', "\udcff"])
def test_one_of_unknown_origin_is_passed_over(said: str, caplog: pytest.LogCaptureFixture) -> None:
    (installed().parent / "build.json").write_bytes(said.encode("utf-8", "surrogateescape"))
    assert find_native_server() is None
    assert "does not say what it was built from" in caplog.text


def test_one_that_is_no_program_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    installed().chmod(0o644)
    assert find_native_server() is None
    assert "does not run" in caplog.text


def test_a_newer_one_is_used() -> None:
    assert find_native_server() is None
    server = installed(Build("0.10.0", describe_processor()))
    assert find_native_server() == server


def test_what_was_built_is_installed_and_found(tmp_path: Path) -> None:
    install(program(tmp_path / "build/llama-server"), server_path().parent)
    assert find_native_server() == server_path()


def test_what_was_built_and_does_not_run_is_not_installed(tmp_path: Path) -> None:
    before = installed().read_bytes()
    with pytest.raises(FailureError, match="does not run"):
        install(program(tmp_path / "build/llama-server", status=132), server_path().parent)
    assert server_path().read_bytes() == before


def test_a_machine_without_the_tools_is_told_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FailureError, match=r"lacks cmake and a C\+\+ compiler .*apt install cmake"):
        require_tools()
    for name in ("cmake", "c++", "make"):
        program(tmp_path / name)
    require_tools()


def package(workshop: Path, *names: str) -> None:
    """Put a package into the workshop, as a download would."""
    workshop.mkdir(parents=True, exist_ok=True)
    with tarfile.open(workshop / f"llama_cpp_python-{SOURCE_VERSION}.tar.gz", "w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(f"llama_cpp_python-{SOURCE_VERSION}/{name}")
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))


def test_source_that_was_half_unpacked_is_unpacked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_build, "_run", lambda *_: None)
    names = [f"vendor/llama.cpp/{name}" for name in ("CMakeLists.txt", "src/a.cpp", "src/b.cpp")]
    package(tmp_path, *names, "README.md")
    extract = tarfile.TarFile.extractall

    def interrupted(archive: tarfile.TarFile, path: str, **options: Any) -> None:
        extract(archive, path, **{**options, "members": options["members"][:1]})
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "extractall", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch_source(tmp_path)
    source = fetch_source(tmp_path)
    assert sorted(path.name for path in source.rglob("*") if path.is_file()) == ["CMakeLists.txt", "a.cpp", "b.cpp"]
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.is_file()) == [".gz"]
    assert fetch_source(tmp_path) == source


def test_half_made_things_of_another_processor_or_source_are_not_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = set()
    for build in (Build(SOURCE_VERSION, "vax"), Build(SOURCE_VERSION, "alpha"), Build("0.0.1", "vax")):
        monkeypatch.setattr(Build, "of_today", partial(copy, build))
        folders.add(build_folder(Path("build")).name)
    assert len(folders) == 3


def test_a_build_that_is_interrupted_ends_with_a_line_that_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(native_build, "require_tools", interrupted)
    with pytest.raises(SystemExit, match="goes on where it was when it is run again"):
        native_build.main()


def test_what_a_processor_can_do_is_read_from_the_system(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nflags\t\t: sse2 avx2\n\nprocessor\t: 1\nflags\t\t: sse2 avx2\n")
    assert describe_processor(tmp_path / "cpuinfo").split()[1:] == ["avx2", "sse2"]
    assert describe_processor(tmp_path / "none").split()[1:] == []
