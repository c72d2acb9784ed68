"""The engine's process: `python -m generation.child`.

Owns: running llama.cpp's server on a private Unix socket, from the `xllamacpp` package or from the operator's own
binary, and dying with the parent. Does not own: when it is started, watched and stopped (`supervisor.py`). Imports
nothing of the web or the bot, so that a crash here costs nothing there and a start is quick.

The settings, the key among them, arrive as one line of JSON on standard input, never as arguments or environment, where
other users of the machine could read them. Standard input then stays open: its end means that the parent is gone.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from generation.orphan import die_with_parent, when_orphaned

_LOG_WARNINGS = 2
"""llama.cpp's verbosity: errors and warnings, which is enough to find why a start failed and never shows a prompt."""

SLOT_SIMILARITY = 0.5
"""So much of a prompt a slot must have for the server to go on in it; else it takes the slot unused for the longest.
With llama.cpp's own 0.1 conversations that have their persona in common push each other out of one slot while others
are empty."""

CANNOT_LOAD = 3
"""Exit status when llama.cpp refused the model."""

_LOG_SECONDS = 0.5
"""How long its log has to be written where the package does not let us ask for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSettings:
    """What the child is told. `context_tokens` is one slot's; `batch_tokens` 0 leaves it to the server.

    `adapter_paths` are LoRA files; a request names them by their place. `states_folder` is where slots may be saved.
    `has_plain_attention` is on for processors: llama.cpp's flash attention decodes at half the pace there behind a long
    conversation (docs/decisions/0023-speed.md).
    """

    model_path: str
    socket_path: str
    api_key: str
    context_tokens: int
    slots: int
    threads: int
    batch_tokens: int
    cache_mib: int
    server_binary: str | None
    adapter_paths: Sequence[str] = ()
    states_folder: str | None = None
    has_plain_attention: bool = False

    def to_line(self) -> bytes:
        """Write the one line that `main` reads."""
        return json.dumps(asdict(self)).encode() + b"\n"


def main() -> NoReturn:
    """Read the settings and serve until told to stop or orphaned."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    # What it writes holds what people said.
    os.umask(0o077)
    settings = ChildSettings(**json.loads(sys.stdin.buffer.readline()))
    if settings.server_binary is None:
        _serve_packaged(settings)
    _serve_binary(settings, settings.server_binary)


def _serve_packaged(settings: ChildSettings) -> NoReturn:
    when_orphaned(lambda: os._exit(0))
    import xllamacpp  # noqa: PLC0415 - 100 MB of native code that the operator's own binary does without

    params = xllamacpp.CommonParams()
    params.model.path = settings.model_path
    params.n_ctx = settings.context_tokens * settings.slots
    params.n_parallel = settings.slots
    # One pool for all slots would let one long conversation take the context of the others.
    params.kv_unified = False
    # Shrinking the context silently to what fits would make `num_ctx` a lie; the parent checks memory beforehand.
    params.fit_params = False
    params.cpuparams.n_threads = settings.threads
    params.cpuparams_batch.n_threads = settings.threads
    if settings.batch_tokens:
        params.n_batch = settings.batch_tokens
        params.n_ubatch = settings.batch_tokens
    if settings.has_plain_attention:
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cache_ram_mib = settings.cache_mib
    params.slot_prompt_similarity = SLOT_SIMILARITY
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 0.0) for path in settings.adapter_paths]
    if settings.states_folder is not None:
        # The server puts the two together as they are.
        params.slot_save_path = f"{settings.states_folder}/"
    params.hostnames = [settings.socket_path]
    params.api_keys = [settings.api_key]
    params.use_jinja = True
    params.ui = False
    params.endpoint_slots = True
    # The parent asks for one token before it says ready, which warms the same memory.
    params.warmup = False
    params.verbosity = _LOG_WARNINGS
    try:
        server = xllamacpp.Server(params)
    except RuntimeError:
        _write_out_log(Path(xllamacpp.xllamacpp.__file__))
        sys.exit(CANNOT_LOAD)
    # llama.cpp installs handlers of its own, after which a SIGTERM would stop its loop but not this process.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Event().wait()
    raise SystemExit(server)  # keeps the server referenced for as long as the process lives


def _write_out_log(library: Path) -> None:
    """Wait until llama.cpp has written all it logged, the reason of a failure among it.

    A thread of its own writes the log, and the end of the process cuts it off (llama.cpp #25504). Its functions are
    called by their C++ names, which the package exports but does not promise.
    """
    try:
        llama_cpp = ctypes.CDLL(str(library))
        log, flush = llama_cpp["_Z15common_log_mainv"], llama_cpp["_Z16common_log_flushP10common_log"]
    except (OSError, AttributeError):
        time.sleep(_LOG_SECONDS)
        return
    log.restype, flush.argtypes, flush.restype = ctypes.c_void_p, [ctypes.c_void_p], None
    flush(log())


def _serve_binary(settings: ChildSettings, binary: str) -> NoReturn:
    """Run the operator's llama-server in this process group, die when it dies, and take it along when orphaned."""
    key_file = Path(settings.socket_path).with_suffix(".key")
    key_file.touch(mode=0o600)
    key_file.write_text(settings.api_key)
    try:
        server = subprocess.Popen(  # noqa: S603 - the operator's own setting
            binary_command(binary, settings, key_file),
            stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no thread has been started yet
        )
    except OSError as error:
        print(f"cannot run server binary: {error.strerror}", file=sys.stderr)  # noqa: T201 - read by the parent
        sys.exit(CANNOT_LOAD)
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    when_orphaned(server.kill)
    status = server.wait()
    print(f"server binary ended with status {status}", file=sys.stderr)  # noqa: T201 - read by the parent
    sys.exit(status if status >= 0 else 128 - status)


def binary_command(binary: str, settings: ChildSettings, key_file: Path) -> Sequence[str]:
    """Say the settings as arguments of llama-server."""
    command = [binary, "--model", settings.model_path, "--host", settings.socket_path]
    command += ["--api-key-file", str(key_file), "--jinja", "--no-webui", "--slots"]
    command += ["--ctx-size", str(settings.context_tokens * settings.slots), "--parallel", str(settings.slots)]
    command += ["--threads", str(settings.threads), "--threads-batch", str(settings.threads)]
    command += ["--cache-ram", str(settings.cache_mib), "--slot-prompt-similarity", str(SLOT_SIMILARITY)]
    command += ["--log-verbosity", str(_LOG_WARNINGS)]
    if settings.batch_tokens:
        command += ["--batch-size", str(settings.batch_tokens), "--ubatch-size", str(settings.batch_tokens)]
    if settings.has_plain_attention:
        command += ["--flash-attn", "off"]
    for path in settings.adapter_paths:
        command += ["--lora", path]
    if settings.states_folder is not None:
        command += ["--slot-save-path", settings.states_folder]
    return command


if __name__ == "__main__":
    main()
