"""A llama-server on a TCP port of this machine, as an operator would start one beside Parley: xllamacpp's own.

Run as a program with the model's path, the port, the slots, the context of each in tokens, the key,
and LoRA files, if any.
"""

import sys
import threading

import xllamacpp


def main() -> None:
    model, port, slots, context_tokens, key, *adapters = sys.argv[1:]
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = int(port)
    params.api_keys = [key]
    params.n_ctx = int(slots) * int(context_tokens)
    params.n_parallel = int(slots)
    params.kv_unified = False
    params.fit_params = False
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    # llama.cpp's cache of conversations takes one adapter's for another's.
    params.cache_ram_mib = 0 if adapters else 64
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in adapters]
    params.use_jinja = True
    params.ui = False
    params.warmup = False
    params.verbosity = 1
    server = xllamacpp.Server(params)
    threading.Event().wait()
    del server


if __name__ == "__main__":
    main()
