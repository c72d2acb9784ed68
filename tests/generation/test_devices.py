"""What a server of the operator's own says it computes on."""

from pathlib import Path

import pytest

from generation.devices import ComputesOn, find_devices


def _server(folder: Path, said: str, *, status: int = 0) -> Path:
    path = folder / "llama-server"
    path.write_text(f"#!/bin/sh\n[ \"$1\" = --list-devices ] || exit 9\ncat <<'END'\n{said}\nEND\nexit {status}\n")
    path.chmod(0o755)
    return path


# As llama.cpp's `common_print_available_devices` writes them.
@pytest.mark.parametrize(
    ("said", "computes_on"),
    [
        ("Available devices:\n  (none)", ComputesOn.PROCESSOR),
        ("Available devices:\n  BLAS: OpenBLAS (0 MiB, 0 MiB free)", ComputesOn.PROCESSOR),
        ("Available devices:\n  CUDA0: NVIDIA H200 (143167 MiB, 142551 MiB free)", ComputesOn.GPU),
        ("ggml_vulkan: Found 1\nAvailable devices:\n  Vulkan0: AMD (RADV) (8 MiB, 8 MiB free)", ComputesOn.GPU),
        ("Available devices:\n  BLAS: x (0 MiB, 0 MiB free)\n  Metal: Apple M4 (16 MiB, 16 MiB free)", ComputesOn.GPU),
        ("another program", ComputesOn.UNKNOWN),
    ],
    ids=["none", "blas", "cuda", "vulkan", "metal", "other"],
)
def test_what_is_listed_says_it(tmp_path: Path, said: str, computes_on: ComputesOn) -> None:
    assert find_devices(_server(tmp_path, said)) is computes_on


def test_what_fails_or_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert find_devices(_server(tmp_path, "Available devices:\n  (none)", status=1)) is ComputesOn.UNKNOWN
    assert find_devices(tmp_path / "missing") is ComputesOn.UNKNOWN
