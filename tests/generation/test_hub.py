import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from generation.errors import ModelError
from generation.hub import HubFile, fetch_model
from generation.recommended import RECOMMENDED
from tests.generation.hub_stand_in import HubStandIn, running_hub

SPEC = "hf:owner/repo/models/tiny.gguf"
ROOT = Path(__file__).resolve().parent.parent.parent


CHUNK = 4096
"""What the library writes at a time; really ten megabytes, more than a test's model."""


@pytest.fixture
def hub(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", CHUNK)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    files = {"models/tiny.gguf": tiny_model.read_bytes(), "other.gguf": b"not a model at all"}
    with running_hub(files) as hub:
        yield hub


def test_a_path_is_taken_as_it_is(tiny_model: Path, tmp_path: Path) -> None:
    assert fetch_model(str(tiny_model), cache_folder=tmp_path) == tiny_model
    with pytest.raises(ModelError, match="there is no model file"):
        fetch_model(str(tmp_path / "none.gguf"), cache_folder=tmp_path)


def test_a_hub_file_is_downloaded_once_and_then_needs_no_network(
    hub: HubStandIn, tiny_model: Path, tmp_path: Path
) -> None:
    path = fetch_model(SPEC, cache_folder=tmp_path, endpoint=hub.url)
    assert path.read_bytes() == tiny_model.read_bytes()
    assert tmp_path in path.parents
    asked = len(hub.requests)
    assert fetch_model(SPEC, cache_folder=tmp_path, endpoint="http://127.0.0.1:1") == path
    assert len(hub.requests) == asked


def test_an_interrupted_download_goes_on_where_it_stopped(hub: HubStandIn, tiny_model: Path, tmp_path: Path) -> None:
    hub.breaks_at = 50_000
    with pytest.raises(ModelError, match="check the network and start again, what was downloaded is kept"):
        fetch_model(SPEC, cache_folder=tmp_path, endpoint=hub.url)
    hub.breaks_at = None
    hub.requests.clear()
    path = fetch_model(SPEC, cache_folder=tmp_path, endpoint=hub.url)
    assert path.read_bytes() == tiny_model.read_bytes()
    ((method, asked_from),) = [(method, asked) for method, _, asked in hub.requests if method == "GET"]
    assert (method, asked_from) == ("GET", f"bytes={50_000 // CHUNK * CHUNK}-")
    assert [entry.name for entry in path.parent.iterdir()] == ["tiny.gguf"]


def test_a_file_that_changed_on_the_hub_is_not_put_together_from_two(hub: HubStandIn, tmp_path: Path) -> None:
    hub.breaks_at = 50_000
    with pytest.raises(ModelError):
        fetch_model(SPEC, cache_folder=tmp_path, endpoint=hub.url)
    hub.breaks_at = None
    hub.files["models/tiny.gguf"] = hub.files["models/tiny.gguf"][:-4] + b"\0\0\0\0"
    path = fetch_model(SPEC, cache_folder=tmp_path, endpoint=hub.url)
    assert path.read_bytes() == hub.files["models/tiny.gguf"]


def test_a_download_that_arrives_damaged_is_deleted(hub: HubStandIn, tmp_path: Path) -> None:
    hub.says_digest = "0" * 64
    with pytest.raises(ModelError, match="arrived damaged and was deleted"):
        fetch_model(SPEC, cache_folder=tmp_path, endpoint=hub.url)
    assert not list(tmp_path.rglob("*.part"))


def test_a_download_through_another_host_keeps_the_token_at_home(
    hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with running_hub(hub.files) as storage:
        hub.redirects_to = storage.url
        fetch_model(SPEC, cache_folder=tmp_path, endpoint=hub.url)
        assert "Bearer hf_secret" in hub.authorizations
        assert set(storage.authorizations) == {None}
        assert any(method == "GET" for method, _, _ in storage.requests)


def test_two_downloads_of_one_file_do_not_mix(hub: HubStandIn, tmp_path: Path) -> None:
    hub.breaks_at = 50_000
    with pytest.raises(ModelError):
        fetch_model(SPEC, cache_folder=tmp_path, endpoint=hub.url)
    (partial,) = tmp_path.rglob("*.part")
    with partial.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ModelError, match="being downloaded by another process"):
            fetch_model(SPEC, cache_folder=tmp_path, endpoint=hub.url)


def test_a_missing_file_and_a_missing_repository_are_told_apart(hub: HubStandIn, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no file none\.gguf of owner/repo"):
        fetch_model("hf:owner/repo/none.gguf", cache_folder=tmp_path, endpoint=hub.url)
    with pytest.raises(ModelError, match="there is no repository owner/none, or it is private"):
        fetch_model("hf:owner/none/tiny.gguf", cache_folder=tmp_path, endpoint=hub.url)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "GatedRepo", "gated: accept its terms"),
        (401, "RepoNotFound", "no repository owner/repo, or it is private"),
        (401, None, "set HF_TOKEN to a valid access token"),
        (403, None, "status 403"),
        (500, None, "status 500"),
    ],
)
def test_a_refusal_says_what_to_do(hub: HubStandIn, tmp_path: Path, status: int, code: str | None, words: str) -> None:
    hub.status = (status, code)
    with pytest.raises(ModelError, match=words) as caught:
        fetch_model(SPEC, cache_folder=tmp_path, endpoint=hub.url)
    assert "\n" not in str(caught.value)


def test_no_network_is_said_and_asks_for_another_try(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="check the network and start again"):
        fetch_model(SPEC, cache_folder=tmp_path, endpoint="http://127.0.0.1:1")


def test_a_file_that_is_no_model_is_refused(hub: HubStandIn, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a GGUF file"):
        fetch_model("hf:owner/repo/other.gguf", cache_folder=tmp_path, endpoint=hub.url)


def test_a_full_disk_is_said(hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("generation.hub.shutil.disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(ModelError, match="is full; make room"):
        fetch_model(SPEC, cache_folder=tmp_path, endpoint=hub.url)


def test_a_place_that_cannot_be_written_is_said(hub: HubStandIn, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(ModelError, match="cannot write to"):
        fetch_model(SPEC, cache_folder=blocked, endpoint=hub.url)


def test_the_hubs_address_is_taken_from_the_environment(hub: HubStandIn, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from generation.hub import fetch_model; "
        "print(fetch_model(sys.argv[1], cache_folder=Path(sys.argv[2])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, SPEC, str(tmp_path)],
        env={**os.environ, "HF_ENDPOINT": hub.url},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert Path(done.stdout.strip()).name == "tiny.gguf"
    assert hub.requests
    assert "%" not in done.stderr


@pytest.mark.parametrize(
    "spec",
    [
        "hf:",
        "hf:owner",
        "hf:owner/repo",
        "hf:owner/repo/",
        "hf:owner/repo/file.bin",
        "hf:owner/../x.gguf",
        "hf:o/r//x.gguf",
        "hf:/owner/repo/x.gguf",
        "hf:owner/repo/../x.gguf",
        "hf:owner/repo/a b.gguf",
        "hf:owner/repo/x.gguf\n",
    ],
)
def test_a_bad_form_is_refused_without_asking_anybody(spec: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not of the form hf:owner/repository"):
        fetch_model(spec, cache_folder=tmp_path, endpoint="http://127.0.0.1:1")


def test_a_model_in_several_files_is_fetched_whole(hub: HubStandIn, tmp_path: Path) -> None:
    names = [f"big-0000{number}-of-00002.gguf" for number in (1, 2)]
    hub.files |= dict.fromkeys(names, hub.files["models/tiny.gguf"])
    path = fetch_model(f"hf:owner/repo/{names[1]}", cache_folder=tmp_path, endpoint=hub.url)
    assert path.name == names[0]
    assert (path.parent / names[1]).exists()


def test_the_recommended_models_are_named_in_the_right_form() -> None:
    assert 5 <= len(RECOMMENDED) <= 6
    for model in RECOMMENDED:
        assert HubFile.parse(model.spec).path.endswith(".gguf")
        assert model.download_gigabytes < model.memory_gigabytes
        assert model.licence
    sizes = [model.parameters_billion for model in RECOMMENDED]
    assert sizes == sorted(sizes)
