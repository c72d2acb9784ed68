"""`PARLEY_LORA`: what it says, and what a file that does not fit gets before anything is loaded."""

from pathlib import Path

import pytest

from generation.adapters import Adapter
from generation.errors import ModelError
from parley.lora import bundled_path, read_adapters
from parley.model_file import choose_model
from parley.settings import Settings
from tests.parley.process import run


def settings(monkeypatch: pytest.MonkeyPatch, lora: str) -> Settings:
    monkeypatch.setenv("PARLEY_LORA", lora)
    return Settings()


def test_names_and_paths_are_read_in_order() -> None:
    assert read_adapters("a=x.gguf, b.2 = dir/y=z.gguf ,") == (
        Adapter("a", Path("x.gguf")),
        Adapter("b.2", Path("dir/y=z.gguf")),
    )
    assert read_adapters(None) == read_adapters("") == ()


def test_a_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert read_adapters("a=~/x.gguf") == (Adapter("a", Path("/home/somebody/x.gguf")),)


def test_the_bundled_adapter_goes_by_its_name_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_adapters("pirate") == (Adapter("pirate", bundled_path()),)
    model = choose_model(settings(monkeypatch, f"pirate,again={bundled_path()}"))
    assert [adapter.name for adapter in model.adapters] == ["pirate", "again"]
    assert model.description == "parley-demo (bundled demonstration), LoRA: pirate, again"


def test_a_name_that_is_the_models_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="PARLEY_LORA: the name parley-demo is the model's own"):
        choose_model(settings(monkeypatch, f"parley-demo={bundled_path()}"))


async def test_a_missing_file_stops_the_start_with_one_line(tmp_path: Path) -> None:
    status, out, err = await run(tmp_path, "up", PARLEY_LORA="a=none.gguf", PORT="0")
    assert (status, out) == (1, "")
    assert err == "parley: there is no LoRA adapter file none.gguf; check PARLEY_LORA\n"


async def test_doctor_lets_every_adapter_speak(tmp_path: Path) -> None:
    status, out, _ = await run(tmp_path, "doctor", PARLEY_LORA="pirate")
    assert status == 0, out
    assert "LoRA: pirate answers: '" in out
    assert f"- {bundled_path()} answers: '" in out
    status, out, _ = await run(tmp_path, "doctor", PARLEY_LORA="a=none.gguf")
    assert status == 1
    assert "FAIL model" in out
    assert "there is no LoRA adapter file none.gguf" in out
