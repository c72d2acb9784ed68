"""The command line: each command does its work, and a mistake is one line and a status."""

import json
import re
from pathlib import Path

import pytest

from parley.demo_model import demo_path
from tests.generation.hub_stand_in import running_hub
from tests.parley.process import run, started


async def test_token_create_prints_the_token_alone(tmp_path: Path) -> None:
    status, out, error = await run(tmp_path, "token", "create", "--name", "my bot")
    assert (status, error) == (0, "")
    assert re.fullmatch(r"parley_[\w-]{43}\n", out)


async def test_a_token_lives_through_list_rotate_and_revoke(tmp_path: Path) -> None:
    arguments = ("--name", "bot", "--daily-calls", "7", "--llm-tokens", "500", "--expires-days", "30", "--json")
    _, out, _ = await run(tmp_path, "token", "create", *arguments)
    created = json.loads(out)
    assert (created["daily_calls"], created["llm_tokens"], created["state"]) == (7, 500, "active")
    _, out, _ = await run(tmp_path, "token", "rotate", created["id"])
    assert re.fullmatch(r"parley_[\w-]{43}\n", out)
    assert out.strip() != created["token"]
    status, out, _ = await run(tmp_path, "token", "revoke", created["id"])
    assert (status, created["id"] in out) == (0, True)
    _, out, _ = await run(tmp_path, "token", "list", "--json")
    assert [(each["id"], each["state"]) for each in json.loads(out)] == [(created["id"], "revoked")]
    assert created["token"] not in out
    _, out, _ = await run(tmp_path, "token", "list", COLUMNS="80")
    assert re.search(rf"^{created['id']}\b", out, re.MULTILINE), "an ID is never broken, so that it can be copied"


@pytest.mark.parametrize(
    ("arguments", "expected_status"),
    [
        (("token", "create"), 2),
        (("token", "create", "--name", ""), 1),
        (("token", "create", "--name", "a\nb"), 1),
        (("token", "create", "--name", "x", "--daily-calls", "-1"), 2),
        (("token", "revoke", "tok_nothing"), 1),
        (("token", "rotate", "tok_nothing"), 1),
        (("nonsense",), 2),
        (("model", "check", "missing.gguf"), 1),
        (("model", "pull", "nonsense"), 1),
        (("bot",), 1),
    ],
)
async def test_mistakes_are_told_on_standard_error(
    tmp_path: Path, arguments: tuple[str, ...], expected_status: int
) -> None:
    status, out, error = await run(tmp_path, *arguments)
    assert (status, out) == (expected_status, "")
    assert error
    assert "Traceback" not in error
    if expected_status == 1:
        assert error.count("\n") == 1


async def test_model_pull_without_a_name_lists_good_models(tmp_path: Path) -> None:
    status, out, _ = await run(tmp_path, "model", "pull")
    assert status == 0
    assert out.count("hf:") >= 4
    assert "GB" in out
    assert "Apache" in out


async def test_model_check_describes_a_file(tmp_path: Path) -> None:
    status, out, _ = await run(tmp_path, "model", "check", str(demo_path()))
    assert status == 0
    assert "llama" in out
    (tmp_path / "bad.gguf").write_bytes(b"GGUF")
    status, _, error = await run(tmp_path, "model", "check", "bad.gguf")
    assert status == 1
    assert error.count("\n") == 1


async def test_model_list_names_the_bundled_and_the_downloaded_models(tmp_path: Path) -> None:
    folder = tmp_path / "data/models/owner/repository"
    folder.mkdir(parents=True)
    (folder / "tiny.gguf").write_bytes(b"GGUF")
    status, out, _ = await run(tmp_path, "model", "list")
    assert status == 0
    assert "demo" in out
    assert "hf:owner/repository/tiny.gguf" in out


async def test_doctor_finds_all_well_and_says_what_is_not(tmp_path: Path) -> None:
    status, out, _ = await run(tmp_path, "doctor")
    assert status == 0, out
    assert out.count("ok ") == 7
    assert "0 conversations would go on at once after a restart" in out
    status, out, _ = await run(tmp_path, "doctor", PARLEY_MODEL="missing.gguf")
    assert status == 1
    assert "FAIL model" in out
    assert "missing.gguf" in out


async def test_help_names_every_command(tmp_path: Path) -> None:
    _, out, _ = await run(tmp_path, "--help")
    for command in ("up", "api", "bot", "chat", "doctor", "token", "model"):
        assert re.search(rf"^  {command}\b", out, re.MULTILINE)


async def test_a_model_is_pulled_from_the_hub_and_answers(tmp_path: Path) -> None:
    spec = "hf:owner/repo/small.gguf"
    with running_hub({"small.gguf": demo_path().read_bytes()}) as hub:
        status, out, error = await run(tmp_path, "model", "pull", spec, HF_ENDPOINT=hub.url)
        assert status == 0, error
        assert f"PARLEY_MODEL={spec}" in out
    # The second time it needs no network.
    async with started(tmp_path, PARLEY_MODEL=spec, HF_ENDPOINT="http://127.0.0.1:1") as parley:
        await parley.until_printed("Stop with Ctrl-C")
        assert "small" in parley.printed()
        assert "bundled model is a demonstration" not in parley.printed()


async def test_a_hub_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    spec = "hf:owner/repo/small.gguf"
    for arguments in (("model", "pull", spec), ("up",)):
        status, _, error = await run(tmp_path, *arguments, PARLEY_MODEL=spec, HF_ENDPOINT="http://127.0.0.1:1")
        assert status == 1
        assert re.fullmatch(r"parley: [^\n]*network[^\n]*\n", error), error
