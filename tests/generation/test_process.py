import pytest

from generation.child import CANNOT_LOAD
from generation.process import explain_end


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ("E llama_model_load: error loading model: unknown model architecture: 'foo'", 3, "architecture, foo"),
        ("error: unknown pre-tokenizer type: 'new-bpe'\nE failed", 3, "tokenizer, new-bpe"),
        ("tensor 'x' data is not within the file bounds, model is corrupted or incomplete", 3, "damaged or not whole"),
        ("E cmn  common_init_: failed to load lora adapter 'x.gguf'", 3, "does not take an adapter of PARLEY_LORA"),
        ("ggml_backend_cpu_buffer: failed to allocate buffer of size 99", 3, "too little memory"),
        ("terminate called after throwing an instance of 'std::bad_alloc'", -6, "too little memory"),
        ("error: invalid argument: --cache-ram", 1, "too old, it does not know --cache-ram"),
        ("x: error while loading shared libraries: libcuda.so.1: cannot open", 127, "lacks a library, libcuda.so.1"),
        ("ImportError: libgomp.so.1: cannot open shared object file", 1, "lacks libgomp.so.1 (on Debian"),
        ("server binary ended with status 1", 1, "PARLEY_LLAMA_SERVER ended with status 1 and no reason; is it"),
        ("", -9, "killed, perhaps for want of memory"),
        ("", 137, "killed, perhaps for want of memory"),
        ("", CANNOT_LOAD, "llama.cpp cannot load it"),
        ("", -7, "damaged or not whole"),
        ("", -11, "ended with status -11"),
    ],
)
def test_the_end_of_a_process_is_said_in_words(said: str, status: int, words: str) -> None:
    assert words in explain_end(said, status)


def test_the_engine_that_cannot_load_is_named() -> None:
    assert explain_end("", CANNOT_LOAD, engine="ctransformers") == "ctransformers cannot load it"
