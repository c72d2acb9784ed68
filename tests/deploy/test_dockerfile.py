"""The image's recipe, judged by hadolint; what it names must be there, and what it starts must work."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from dockerfile_parse import DockerfileParser

from parley.cli import main
from parley.model_file import DOWNLOADS
from parley.settings import Settings, known_names
from tests.deploy.places import ROOT, program
from tests.parley.process import started

PARSED = DockerfileParser(str(ROOT / "Dockerfile"), cache_content=True)
STEPS: list[tuple[str, str]] = [
    (step["instruction"], step["value"]) for step in PARSED.structure if step["instruction"] != "COMMENT"
]
ENVIRONMENT: dict[str, str] = PARSED.envs
IGNORED = (ROOT / ".dockerignore").read_text("utf-8").splitlines()


def last(instruction: str) -> str:
    return [value for name, value in STEPS if name == instruction][-1]


def copied() -> Iterator[str]:
    """What comes from the source tree, not from an earlier stage."""
    for name, value in STEPS:
        if name == "COPY" and not value.startswith("--from="):
            yield from shlex.split(value)[:-1]


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run([program("hadolint"), str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_copied_exists_and_is_let_through() -> None:
    for name in copied():
        assert (ROOT / name).exists(), name
        assert f"!{name.split('/')[0]}" in IGNORED, name


def test_nothing_else_reaches_the_image() -> None:
    rules = [line for line in IGNORED if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_through = {line.removeprefix("!") for line in rules if line.startswith("!")}
    assert let_through == {name.split("/")[0] for name in copied()}
    assert rules[-1] == "**/.env*", "the last rule that matches decides"


def test_every_package_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = project["tool"]["setuptools"]["packages"]
    assert {name.split(".")[0] for name in packages} <= set(copied())


def test_both_stages_begin_with_the_same_pinned_image() -> None:
    images = set(PARSED.parent_images)
    assert len(images) == 1, "the environment's Python is the one that it was made with"
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", images.pop())


def test_it_is_not_root_who_runs_it() -> None:
    user, _, group = last("USER").partition(":")
    assert int(user) > 999
    assert int(group) > 999
    afterwards = STEPS[STEPS.index(("USER", last("USER"))) :]
    assert {name for name, _ in afterwards} == {"USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


def test_signals_reach_parley_itself() -> None:
    """Both are in exec form: no shell stands between."""
    assert json.loads(last("ENTRYPOINT")) == ["parley"]
    assert json.loads(last("CMD"))[0] in main.commands


def test_its_variables_are_settings() -> None:
    assert ENVIRONMENT.keys() - set(known_names()) == {"PATH", "MPLCONFIGDIR"}
    assert ENVIRONMENT["HOST"] == "0.0.0.0"
    assert ENVIRONMENT["PORT"] == last("EXPOSE")


def test_everything_that_lasts_is_in_the_volume() -> None:
    folder, volume = Path(last("WORKDIR")), Path(json.loads(last("VOLUME"))[0])
    database = str(Settings.model_fields["database_url"].default).removeprefix("sqlite:///")
    for kept in (folder / database, folder / DOWNLOADS, Path(ENVIRONMENT["MPLCONFIGDIR"])):
        assert kept.is_relative_to(volume)


def test_licence_and_model_card_come_along() -> None:
    assert last("COPY") == "LICENSE models/README.md /usr/share/doc/parley/"


async def test_its_health_check_tells_a_running_parley_from_none(tmp_path: Path) -> None:
    interpreter, *arguments = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    assert interpreter == "python"

    def is_healthy() -> bool:
        variables = {**os.environ, "PORT": port, "http_proxy": "http://127.0.0.1:1"}
        command = [sys.executable, *arguments]
        return not subprocess.run(command, env=variables, stderr=subprocess.DEVNULL, check=False).returncode

    async with started(tmp_path) as parley:
        port = parley.url.rpartition(":")[2]
        await parley.until_ready()
        assert is_healthy()
    assert not is_healthy()
