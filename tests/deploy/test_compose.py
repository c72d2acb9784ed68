"""compose.yaml, as Docker Compose itself reads it: what each profile starts, with which settings."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from parley.cli import main
from parley.settings import known_names, load_settings
from tests.deploy.places import ROOT, program

PROFILES = {
    "sqlite": {"parley"},
    "postgres": {"postgres", "api", "bot", "balancer"},
    "gpu": {"vllm", "parley-gpu"},
}
OURS = "parley"
"""The image that is built here."""

Service = dict[str, Any]


def read(folder: Path, profile: str | None = None, **variables: str) -> dict[str, Service]:
    """Let Compose resolve the file for a folder, in which an `.env` may lie; an error of its own fails the test."""
    done = subprocess.run(
        [
            *(program("docker-compose"), "--file", str(ROOT / "compose.yaml"), "--project-directory", str(folder)),
            *(("--profile", profile) if profile else ()),
            *("config", "--format", "json"),
        ],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    services: dict[str, Service] = json.loads(done.stdout)["services"]
    return services


def ours(services: dict[str, Service]) -> dict[str, Service]:
    return {name: service for name, service in services.items() if service["image"] == OURS}


def seconds(duration: str) -> int:
    found = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", duration)
    assert found
    return int(found[1] or 0) * 60 + int(found[2] or 0)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_starts_its_services_and_no_others(tmp_path: Path, profile: str) -> None:
    assert read(tmp_path, profile).keys() == PROFILES[profile]


def test_nothing_belongs_to_two_profiles_or_none(tmp_path: Path) -> None:
    """Two profiles at once would be two bots with one token, which answer everything twice."""
    services = read(tmp_path, "*")
    assert {name: service["profiles"] for name, service in services.items()} == {
        name: [profile] for profile, names in PROFILES.items() for name in names
    }


def test_the_profile_may_stand_in_the_file_of_settings(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("COMPOSE_PROFILES=postgres\n", "utf-8")
    assert read(tmp_path).keys() == PROFILES["postgres"]


def test_every_variable_is_a_setting_or_told_of() -> None:
    names = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text("utf-8")))
    told = (ROOT / "docs/operations.md").read_text("utf-8")
    assert [name for name in names - set(known_names()) if f"`{name}`" not in told] == []


def test_images_are_pinned_or_built_here(tmp_path: Path) -> None:
    for name, service in read(tmp_path, "*").items():
        if service["image"] == OURS:
            assert Path(service["build"]["context"]) == tmp_path, name
        else:
            assert re.fullmatch(r"[\w/-]+:v?\d[\w.-]*", service["image"]), name


def test_commands_are_those_of_the_command_line(tmp_path: Path) -> None:
    commands = {name: service.get("command") for name, service in ours(read(tmp_path, "*")).items()}
    assert commands == {"parley": None, "parley-gpu": None, "api": ["api"], "bot": ["bot"]}
    assert {"api", "bot"} <= main.commands.keys()


def test_variables_are_settings(tmp_path: Path) -> None:
    for name, service in ours(read(tmp_path, "*")).items():
        assert service["environment"].keys() <= set(known_names()), name


@pytest.mark.parametrize("profile", PROFILES)
def test_parley_is_confined_and_has_time_to_stop(tmp_path: Path, profile: str) -> None:
    for name, service in ours(read(tmp_path, profile)).items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert seconds(service["stop_grace_period"]) > 20, name
        assert "user" not in service, "the image says who runs it"


@pytest.mark.parametrize("profile", PROFILES)
def test_this_machine_alone_reaches_it_unless_told_otherwise(tmp_path: Path, profile: str) -> None:
    def published(**variables: str) -> list[tuple[str, str, int]]:
        services = read(tmp_path, profile, **variables).values()
        ports = [port for service in services for port in service.get("ports", [])]
        return [(port["host_ip"], port["published"], port["target"]) for port in ports]

    assert published() == [("127.0.0.1", "8080", 8080)]
    assert published(HOST="0.0.0.0", PORT="9000") == [("0.0.0.0", "9000", 8080)]


def test_a_copy_of_the_example_file_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its HOST and PORT are the machine's; inside a container Parley listens everywhere, on a port of its own."""
    example = (ROOT / ".env.example").read_text("utf-8")
    (tmp_path / ".env").write_text(example.replace("PARLEY_CONTEXT=4096", "PARLEY_CONTEXT=2048"), "utf-8")
    environment = ours(read(tmp_path, "sqlite"))["parley"]["environment"]
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(tmp_path / "none")
    assert (settings.host, settings.port, settings.context) == ("0.0.0.0", 8080, 2048)
    assert settings.public_url == "http://127.0.0.1:8080"
    assert settings == load_settings(tmp_path / ".env")


def test_service_and_bot_share_database_and_secret(tmp_path: Path) -> None:
    services = read(
        tmp_path, "postgres", PARLEY_SERVICE_TOKEN="a-secret", POSTGRES_PASSWORD="another", API_REPLICAS="5"
    )
    api, bot = services["api"]["environment"], services["bot"]["environment"]
    assert api["PARLEY_SERVICE_TOKEN"] == bot["PARLEY_SERVICE_TOKEN"] == "a-secret"
    assert api["DATABASE_URL"] == bot["DATABASE_URL"] == "postgres://parley:another@postgres:5432/parley"
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"] == "another"
    assert bot["PARLEY_API_URL"] == "http://balancer:8080"
    assert services["api"]["deploy"]["replicas"] == 5
    assert services["bot"].get("deploy") is None, "one bot for each Discord token"
    assert api["DISCORD_TOKEN"] == ""


def test_what_depends_on_the_database_waits_until_it_answers(tmp_path: Path) -> None:
    services = read(tmp_path, "postgres")
    for name in ("api", "bot"):
        assert services[name]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert services["postgres"]["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]
    assert services["bot"]["healthcheck"] == {"disable": True}


def test_the_gpu_computes_for_parley(tmp_path: Path) -> None:
    services = read(tmp_path, "gpu", PARLEY_ENGINE_API_KEY="a-key")
    environment = services["parley-gpu"]["environment"]
    assert (environment["PARLEY_ENGINE"], environment["PARLEY_ENGINE_URL"]) == ("remote", "http://vllm:8000/v1")
    assert environment["PARLEY_ENGINE_API_KEY"] == services["vllm"]["environment"]["VLLM_API_KEY"] == "a-key"
    device = services["vllm"]["deploy"]["resources"]["reservations"]["devices"][0]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_mounted_files_are_there(tmp_path: Path) -> None:
    mounts = [mount for service in read(ROOT, "postgres").values() for mount in service.get("volumes", [])]
    files = [mount["source"] for mount in mounts if mount["type"] == "bind"]
    assert len(files) == 1
    assert Path(files[0]).is_file()
