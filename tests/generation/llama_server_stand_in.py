"""A stand-in for an operator's llama-server binary: takes the flags that Parley gives and serves with xllamacpp.

Run as a program. Like the real one it parses its arguments, reads the key file, and knows nothing of its parent.
"""

import argparse
import sys
import threading
from pathlib import Path

import xllamacpp


def main() -> None:
    if sys.argv[1:] == ["--list-devices"]:
        sys.stdout.write("Available devices:\n  (none)\n")
        return
    parser = argparse.ArgumentParser()
    for name in ("--model", "--host", "--api-key-file"):
        parser.add_argument(name, required=True)
    for name in ("--ctx-size", "--parallel", "--threads", "--threads-batch", "--cache-ram", "--log-verbosity"):
        parser.add_argument(name, type=int, required=True)
    for name in ("--jinja", "--no-webui", "--slots"):
        parser.add_argument(name, action="store_true", required=True)
    parser.add_argument("--slot-prompt-similarity", type=float, required=True)
    parser.add_argument("--slot-save-path", default="")
    parser.add_argument("--lora", action="append", default=[])
    for name in ("--batch-size", "--ubatch-size"):
        parser.add_argument(name, type=int)
    parser.add_argument("--flash-attn", choices=["on", "off", "auto"], default="auto")
    arguments = parser.parse_args()
    params = xllamacpp.CommonParams()
    params.model.path = arguments.model
    params.hostnames = [arguments.host]
    params.api_keys = [Path(arguments.api_key_file).read_text().strip()]
    params.n_ctx = arguments.ctx_size
    params.n_parallel = arguments.parallel
    # The binary's own default is the full scale, for requests that do not say theirs.
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in arguments.lora]
    params.cpuparams.n_threads = arguments.threads
    params.cpuparams_batch.n_threads = arguments.threads_batch
    params.n_batch = arguments.batch_size or params.n_batch
    params.n_ubatch = arguments.ubatch_size or params.n_ubatch
    if arguments.flash_attn == "off":
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cache_ram_mib = arguments.cache_ram
    params.slot_prompt_similarity = arguments.slot_prompt_similarity
    if arguments.slot_save_path:
        params.slot_save_path = f"{arguments.slot_save_path}/"
    params.verbosity = arguments.log_verbosity
    params.fit_params = False
    params.ui = False
    server = xllamacpp.Server(params)
    threading.Event().wait()
    del server


if __name__ == "__main__":
    main()
