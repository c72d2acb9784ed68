"""Whatever could make a difference to a reply makes one to the fingerprint."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from generation import fingerprint as fingerprints
from generation.adapters import Adapter
from generation.child import ChildSettings
from generation.fingerprint import fingerprint
from generation.gguf_file import GgufHeader, read_gguf_header
from tests.generation.tiny_model import write_tiny_model

Facts = tuple[ChildSettings, GgufHeader, Adapter | None]


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    model = write_tiny_model(tmp_path / "tiny.gguf")
    settings = ChildSettings(
        model_path=str(model), socket_path="/a", api_key="a", context_tokens=512, slots=2, threads=1, batch_tokens=64,
        cache_mib=100, server_binary=None,
    )  # fmt: skip
    return settings, read_gguf_header(model), None


def test_it_stays_where_nothing_differs_that_matters(facts: Facts) -> None:
    settings, header, adapter = facts
    again = replace(settings, socket_path="/b", api_key="b", cache_mib=200, threads=2)
    assert fingerprint(settings, header, adapter) == fingerprint(again, header, adapter)


@pytest.mark.parametrize(
    "change",
    [
        lambda s, h, a: (replace(s, context_tokens=1024), h, a),
        lambda s, h, a: (replace(s, slots=4), h, a),
        lambda s, h, a: (replace(s, batch_tokens=128), h, a),
        lambda s, h, a: (s, replace(h, chat_template="{{ other }}"), a),
        lambda s, h, a: (replace(s, server_binary="/bin/sh"), h, a),
        lambda s, h, _: (s, h, Adapter("one", Path(s.model_path))),
    ],
)
def test_it_differs_with_every_setting(facts: Facts, change: Callable[..., Facts]) -> None:
    assert fingerprint(*change(*facts)) != fingerprint(*facts)


@pytest.mark.parametrize("place", [0.1, 0.5, 0.999])
def test_it_differs_with_the_models_content_though_size_and_time_are_the_same(facts: Facts, place: float) -> None:
    before = fingerprint(*facts)
    path = Path(facts[0].model_path)
    found, data = path.stat(), bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert fingerprint(*facts) != before


def test_it_differs_with_a_models_time_of_change_and_with_the_engines_version(
    facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint(*facts)
    os.utime(facts[0].model_path, (1, 1))
    moved = fingerprint(*facts)
    monkeypatch.setattr(fingerprints, "version", lambda _: "2099.1")
    assert len({before, moved, fingerprint(*facts)}) == 3
