"""`parley db …`: backups beside a Parley that runs and without one, and the move to another database."""

import json
import re
import signal
from pathlib import Path

import aiohttp

from tests.parley.process import run, run_here, started
from tests.postgresql_server import running_server


async def _tokens(folder: Path) -> list[str]:
    _, out, _ = await run_here(folder, "token", "list", "--json")
    return [each["name"] for each in json.loads(out)]


async def test_a_running_parley_goes_on_with_what_was_restored(tmp_path: Path) -> None:
    async with started(tmp_path, "api", PARLEY_SERVICE_TOKEN="s" * 32) as parley, aiohttp.ClientSession() as session:
        await parley.until_ready()
        _, secret, _ = await run_here(tmp_path, "token", "create", "--name", "kept")
        headers = {"Authorization": f"Bearer {secret.strip()}"}

        async def used() -> int:
            body = {"messages": [{"role": "user", "content": "Hi"}], "num_predict": 4}
            async with session.post(f"{parley.url}/ai/chat", json=body, headers=headers) as response:
                assert response.status == 200
                remaining = int(response.headers["X-RateLimit-Remaining"])
                return 1000 - remaining

        assert await used() == 1
        status, out, error = await run(tmp_path, "db", "backup", "copy.db")
        assert (status, error) == (0, "")
        assert "parley db restore copy.db" in out
        await run_here(tmp_path, "token", "create", "--name", "made later")
        assert await used() == 2
        status, out, error = await run(tmp_path, "db", "restore", "copy.db")
        assert (status, error) == (0, "")
        assert await used() == 2, "the second call was made after the backup"
        kept = next((tmp_path / "data").glob("parley.db.before-restore-*"))
        assert str(kept.name) in out
        assert "made later" not in await _tokens(tmp_path)
        status, out, error = await run(tmp_path, "db", "restore", str(kept))
        assert (status, error) == (0, "")
        assert "made later" in await _tokens(tmp_path), "what a restore replaced can be had back"


async def test_restores_that_follow_each_other_at_once_each_keep_what_they_replace(tmp_path: Path) -> None:
    await run_here(tmp_path, "token", "create", "--name", "kept")
    await run_here(tmp_path, "db", "backup", "copy.db")
    restores = [await run_here(tmp_path, "db", "restore", "copy.db") for _ in range(5)]
    assert {(status, error) for status, _, error in restores} == {(0, "")}
    assert len(list((tmp_path / "data").glob("parley.db.before-restore-*"))) == 5


async def test_a_restore_makes_a_database_where_there_is_none(tmp_path: Path) -> None:
    await run_here(tmp_path, "token", "create", "--name", "kept")
    await run_here(tmp_path, "db", "backup", "copy.db")
    status, out, _ = await run_here(tmp_path, "db", "restore", "copy.db", DATABASE_URL="sqlite:///fresh/new.db")
    assert (status, "before" in out) == (0, False)
    _, out, _ = await run_here(tmp_path, "token", "list", "--json", DATABASE_URL="sqlite:///fresh/new.db")
    assert [each["name"] for each in json.loads(out)] == ["kept"]
    assert [each.name for each in (tmp_path / "fresh").iterdir()] == ["new.db"]


async def test_mistakes_are_one_line_and_change_nothing(tmp_path: Path) -> None:
    await run_here(tmp_path, "token", "create", "--name", "kept")
    (tmp_path / "text").write_text("no database")
    mistakes = {
        ("backup", "text"): "is there already",
        ("backup", "no/such/folder/copy.db"): "cannot be written",
        ("restore", "missing"): "is not there",
        ("restore", "text"): "is not an SQLite database",
    }
    for arguments, words in mistakes.items():
        status, out, error = await run_here(tmp_path, "db", *arguments)
        assert (status, out, error.count("\n")) == (1, "", 1), error
        assert words in error
    assert await _tokens(tmp_path) == ["kept"]
    assert sorted(each.name for each in (tmp_path / "data").iterdir()) == ["parley.db"]


async def test_an_installation_moves_to_postgresql_and_is_backed_up_there(tmp_path: Path) -> None:
    _, secret, _ = await run_here(tmp_path, "token", "create", "--name", "moved")
    with running_server().new_database() as name:
        url = running_server().url(name)
        status, out, error = await run_here(tmp_path, "db", "copy", "--to", url)
        assert (status, error) == (0, "")
        assert re.search(r"^ +1  api_tokens$", out, re.MULTILINE)
        assert out.endswith("rows were copied, and read back the same.\n")
        settings = {"DATABASE_URL": url, "PARLEY_SERVICE_TOKEN": "s" * 32}
        async with started(tmp_path, "api", **settings) as parley, aiohttp.ClientSession() as session:
            await parley.until_ready()
            headers = {"Authorization": f"Bearer {secret.strip()}"}
            async with session.get(f"{parley.url}/ai/usage", headers=headers) as response:
                assert (await response.json())["name"] == "moved"
            status, out, error = await run_here(tmp_path, "db", "backup", "copy.db", **settings)
            assert (status, error) == (0, "")
            status, _, error = await run_here(tmp_path, "db", "restore", "copy.db", **settings)
            assert (status, error.count("\n")) == (1, 1)
            assert "stop it first" in error
            assert list((tmp_path / "data").glob("*.before-restore-*")) == [], "nothing was replaced"
            parley.signal(signal.SIGTERM)
            assert await parley.stopped() == 0
        await run_here(tmp_path, "token", "create", "--name", "made later", **settings)
        status, out, error = await run_here(tmp_path, "db", "restore", "copy.db", **settings)
        assert (status, error) == (0, "")
        kept = next((tmp_path / "data").glob("parley.db.before-restore-*"))
        assert str(kept.name) in out
        _, out, _ = await run_here(tmp_path, "token", "list", "--json", **settings)
        assert [each["name"] for each in json.loads(out)] == ["moved"]
        await run_here(tmp_path, "token", "create", "--name", "of its own", **settings)
        status, _, error = await run_here(tmp_path, "db", "copy", "--to", url)
        assert status == 1
        assert "--replace" in error, "it has been used since"
        status, _, error = await run_here(tmp_path, "db", "restore", str(kept))
        assert (status, error) == (0, ""), "a backup of one kind is put back on the other"
        assert sorted(await _tokens(tmp_path)) == ["made later", "moved"]
    assert sorted(each.name for each in (tmp_path / "data").iterdir() if each.name.startswith(".")) == []


async def test_a_copy_names_what_is_wrong_in_a_line(tmp_path: Path) -> None:
    assert (await run_here(tmp_path, "db", "copy"))[0] == 2
    mistakes = {
        ("--to", "sqlite:///data/parley.db"): "are the same database",
        ("--from", "sqlite:///missing.db"): "there is no database missing.db",
        ("--from", "mysql://x/y"): "DATABASE_URL",
    }
    for arguments, words in mistakes.items():
        status, out, error = await run_here(tmp_path, "db", "copy", *arguments)
        assert (status, out, error.count("\n")) == (1, "", 1), error
        assert words in error
    assert not (tmp_path / "missing.db").exists()
