"""llama.cpp's packaged server with settings that are tried out: `python -m benchmarks.tried_server JSON`."""

import json
import os
import sys
import threading
from dataclasses import asdict, dataclass

from generation.orphan import die_with_parent, when_orphaned


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One choice of settings; `speculation` is a way of llama.cpp's without a second model, such as `ngram_simple`."""

    threads: int = 2
    batch_threads: int = 2
    batch: int = 512
    micro_batch: int = 512
    continuous: bool = True
    speculation: str | None = None
    flash_attention: bool = False

    def to_argument(self, model_path: str, socket_path: str) -> str:
        """Write the one argument that `main` reads."""
        return json.dumps({"model": model_path, "socket": socket_path, "tried": asdict(self)})


def main() -> None:
    """Serve until the parent is gone."""
    die_with_parent()
    when_orphaned(lambda: os._exit(0))
    import xllamacpp  # noqa: PLC0415 - 100 MB of native code that only the child needs

    said = json.loads(sys.argv[1])
    tried = Tried(**said["tried"])
    params = xllamacpp.CommonParams()
    params.model.path = said["model"]
    params.n_ctx, params.n_parallel, params.kv_unified = 2048 * 8, 8, False
    params.fit_params = False
    params.cpuparams.n_threads = tried.threads
    params.cpuparams_batch.n_threads = tried.batch_threads
    params.n_batch, params.n_ubatch = tried.batch, tried.micro_batch
    params.cont_batching = tried.continuous
    attention = "ENABLED" if tried.flash_attention else "DISABLED"
    params.flash_attn_type = getattr(xllamacpp.llama_flash_attn_type, f"LLAMA_FLASH_ATTN_TYPE_{attention}")
    params.cache_ram_mib = 0
    params.hostnames = [said["socket"]]
    params.use_jinja, params.ui, params.warmup, params.verbosity = True, False, False, 2
    if tried.speculation is not None:
        name = f"COMMON_SPECULATIVE_TYPE_{tried.speculation.upper()}"
        params.speculative.types = [getattr(xllamacpp.common_speculative_type, name)]
    server = xllamacpp.Server(params)
    threading.Event().wait()
    raise SystemExit(server)  # keeps the server referenced for as long as the process lives


if __name__ == "__main__":
    main()
