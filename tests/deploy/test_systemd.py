"""The unit for systemd: it starts what exists, keeps data where it may write, and has time to stop."""

from collections import defaultdict

import pytest

from parley.cli import main
from parley.http_service import DRAIN_SECONDS
from parley.settings import Settings, known_names
from tests.deploy.places import DEPLOY


def read_unit() -> dict[str, dict[str, list[str]]]:
    """Sections of assignments; a name may be assigned more than once. See systemd.syntax(7)."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in (DEPLOY / "parley.service").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = sections[line.strip("[]")] = defaultdict(list)
            continue
        name, equals, value = line.partition("=")
        assert equals, line
        assert name.strip() == name, line
        section[name].append(value)
    return sections


UNIT = read_unit()
SERVICE = UNIT["Service"]


def test_it_starts_a_command_of_parley_at_boot() -> None:
    (start,) = SERVICE["ExecStart"]
    program, command = start.split()
    assert program.endswith("/.venv/bin/parley")
    assert command in main.commands
    assert UNIT["Install"]["WantedBy"] == ["multi-user.target"]


def test_data_lie_where_it_may_write() -> None:
    assert SERVICE["StateDirectory"] == ["parley"]
    assert SERVICE["WorkingDirectory"] == ["%S/parley"]
    assert SERVICE["ProtectSystem"] == ["strict"]
    assert str(Settings.model_fields["database_url"].default).startswith("sqlite:///data/"), "relative to that folder"


def test_a_stop_gives_running_replies_their_time_and_the_engine_to_parley() -> None:
    (seconds,) = SERVICE["TimeoutStopSec"]
    assert int(seconds) > 20 > DRAIN_SECONDS
    assert SERVICE["KillMode"] == ["mixed"], "a signal to all processes would end the engine before the replies"
    assert SERVICE["OOMPolicy"] == ["continue"], "a killed engine is Parley's to restart"
    assert SERVICE["Restart"] == ["on-failure"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("User", "parley"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        ("ProtectHome", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("RestrictNamespaces", "yes"),
        ("UMask", "0077"),
    ],
)
def test_it_is_confined(name: str, value: str) -> None:
    assert SERVICE[name] == [value]


def test_secrets_stand_in_a_file_of_its_own() -> None:
    assert SERVICE["EnvironmentFile"] == ["/etc/parley/parley.env"]
    assert {line.partition("=")[0] for line in SERVICE["Environment"]} & set(known_names()) == set()
