"""Decides how the engine is launched on this machine.

Owns: what the operator configured, what follows from it and from the model's header, and the check that memory
suffices. Does not own: the process (`process.py`).
"""

from dataclasses import dataclass
from pathlib import Path

import psutil

from generation.adapters import Adapter, count_bytes
from generation.chat_template import is_template
from generation.child import ChildSettings
from generation.devices import ComputesOn
from generation.errors import ModelError
from generation.gguf_file import GgufHeader
from generation.warmth import Keeping

_GIB, _MIB = 1 << 30, 1 << 20

_PACE_PER_THREAD = 4e10
"""Parameters times tokens that one thread's prompt processing gets through a second, measured in the packaged build
with Q4_0 and Q8_0 models of 0.25 and 1.1 billion parameters. Good within a factor of two, all that is asked of it."""

_PARAMETERS_PER_THREAD = 20_000_000
"""Below, a second thread gains nothing, and on a busy machine costs much: a model of 3 million parameters took seconds
for a short reply when its two threads shared two cores with other work, and a tenth of a second with one."""

_BATCH_SECONDS = 0.75
"""A batch is not interrupted: so long may a caller who hung up keep a slot, and the other slots wait for a token."""

_SMALLEST_BATCH, _LARGEST_BATCH, _BATCH_STEP = 32, 512, 16
"""Below 32 tokens prompts cost half as much again; 512 is llama.cpp's own and no faster beyond."""

_LARGEST_CACHE_MIB = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalConfig:
    """What the operator chose. `context_tokens` is what one request may use; `slots` requests run at once.

    `adapters` are LoRA adapters for this very model. `computes_on` says where the weights will lie.
    """

    model_path: Path
    model_name: str
    context_tokens: int
    slots: int
    threads: int
    adapters: tuple[Adapter, ...] = ()
    computes_on: ComputesOn = ComputesOn.PROCESSOR


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCppConfig(LocalConfig):
    """With a llama-server to run in place of the package, where there is one.

    `keeping` says where conversations are kept warm; nowhere without.
    """

    server_binary: Path | None = None
    keeping: Keeping | None = None


def usable_context(config: LocalConfig, header: GgufHeader) -> int:
    """Tokens of context that one request gets: what was asked for, but no more than the model was trained on."""
    return min(config.context_tokens, header.trained_context or config.context_tokens)


def check_memory(config: LocalConfig, header: GgufHeader, *, available_bytes: int) -> None:
    """Raise `ModelError` when weights and the KV cache of all slots will not fit; a GPU's memory its server knows."""
    if config.computes_on is ComputesOn.GPU:
        return
    weights = header.size_bytes + count_bytes(config.adapters)
    needed = weights + header.kv_bytes_per_token * usable_context(config, header) * config.slots
    if needed > available_bytes:
        raise ModelError(
            f"the model needs about {needed / _GIB:.1f} GiB of memory and {available_bytes / _GIB:.1f} GiB are free; "
            "choose a smaller model, or lower PARLEY_CONTEXT or PARLEY_PARALLEL"
        )


def fetch_available_bytes(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Measure free memory: the machine's, or the container's where that is less.

    https://docs.kernel.org/admin-guide/cgroup-v2.html
    """
    available = int(psutil.virtual_memory().available)
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        used = int((cgroup / "memory.current").read_text())
        statistics = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return available
    if not limit.isdigit():
        return available
    # Files the kernel keeps in memory count as used, but are given up on demand.
    return min(available, int(limit) - used + int(statistics.get("inactive_file", 0)))


def plan_child(config: LlamaCppConfig, header: GgufHeader, *, socket_path: Path, api_key: str) -> ChildSettings:
    """Say what the child shall do."""
    threads = choose_threads(header.parameters, config.threads)
    # On a GPU small batches only cost.
    is_on_processor = config.computes_on is ComputesOn.PROCESSOR
    return ChildSettings(
        model_path=str(config.model_path.absolute()),
        socket_path=str(socket_path),
        api_key=api_key,
        context_tokens=usable_context(config, header),
        slots=config.slots,
        threads=threads,
        batch_tokens=choose_batch_tokens(header.parameters, threads) if is_on_processor else 0,
        has_plain_attention=is_on_processor,
        cache_mib=choose_cache_mib(int(psutil.virtual_memory().total)) if _gains_by_cache(config) else 0,
        server_binary=None if config.server_binary is None else str(config.server_binary.absolute()),
        adapter_paths=[str(adapter.path.absolute()) for adapter in config.adapters],
        states_folder=None if config.keeping is None else str(config.keeping.folder.absolute()),
    )


def _gains_by_cache(config: LlamaCppConfig) -> bool:
    """Say whether conversations that lost their slot shall wait in the server's memory.

    That cache forgets which adapter computed them, and would hand one's to another
    (https://github.com/ggml-org/llama.cpp/issues/26207). A GPU computes a prompt as fast as it is copied to memory and
    back, and stops all slots for the copying: for up to 10 s (docs/decisions/0032-gpu-servers.md).
    """
    return not config.adapters and config.computes_on is not ComputesOn.GPU


def check_ctransformers(config: LocalConfig, header: GgufHeader) -> None:
    """Raise `ModelError` for what ctransformers, from September 2023, would refuse, misread or end its process over."""
    if config.adapters:
        raise ModelError("PARLEY_LORA: ctransformers cannot load LoRA adapters; set PARLEY_ENGINE=llama.cpp")
    problem = None
    if header.architecture != "llama":
        problem = f"its architecture is {header.architecture}, and ctransformers reads llama only"
    elif header.tokenizer != "llama":
        problem = f"its tokenizer is {header.tokenizer}, and ctransformers reads llama's (SentencePiece) only"
    elif not is_template(header.chat_template):
        problem = "its chat template cannot be read"
    if problem is not None:
        raise ModelError(f"the model {config.model_path} cannot be used: {problem}; set PARLEY_ENGINE=llama.cpp")


def plan_ctransformers_child(
    config: LocalConfig, header: GgufHeader, *, socket_path: Path, api_key: str
) -> ChildSettings:
    """Say what the ctransformers child shall do."""
    threads = choose_threads(header.parameters, config.threads)
    return ChildSettings(
        model_path=str(config.model_path.absolute()),
        socket_path=str(socket_path),
        api_key=api_key,
        context_tokens=usable_context(config, header),
        slots=config.slots,
        threads=threads,
        # It processes prompts at half of llama.cpp's pace.
        batch_tokens=choose_batch_tokens(header.parameters, threads) // 2,
        cache_mib=0,
        server_binary=None,
    )


def choose_threads(parameters: int, threads: int) -> int:
    """Threads for the engine, at most those configured: one with little to do waits for the others, spinning."""
    return max(1, min(threads, parameters // _PARAMETERS_PER_THREAD))


def choose_batch_tokens(parameters: int, threads: int) -> int:
    """Tokens of a prompt processed at a time, so that a batch takes about `_BATCH_SECONDS`."""
    tokens = int(_BATCH_SECONDS * _PACE_PER_THREAD * threads / max(1, parameters))
    return max(_SMALLEST_BATCH, min(_LARGEST_BATCH, tokens // _BATCH_STEP * _BATCH_STEP))


def choose_cache_mib(total_bytes: int) -> int:
    """Memory for conversations that lost their slot, MiB: llama.cpp's own 8192 is more than small machines have."""
    return min(total_bytes // 8 // _MIB, _LARGEST_CACHE_MIB)
