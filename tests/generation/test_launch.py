from dataclasses import replace
from pathlib import Path

import pytest

from generation.devices import ComputesOn
from generation.errors import ModelError
from generation.gguf_file import GgufHeader
from generation.launch import (
    check_memory,
    choose_batch_tokens,
    choose_cache_mib,
    choose_threads,
    fetch_available_bytes,
    plan_child,
    usable_context,
)
from tests.generation.conftest import config_for

GIB = 1 << 30
HEADER = GgufHeader(
    size_bytes=2 * GIB,
    architecture="llama",
    trained_context=8192,
    parameters=3_000_000_000,
    kv_bytes_per_token=128 * 1024,
    tokens=(b"a",),
    token_kinds=(1,),
    tokenizer="llama",
    adds_space_prefix=False,
    adds_bos=True,
    chat_template=None,
)
CONFIG = replace(config_for(Path("model.gguf"), context_tokens=4096, slots=4), threads=8)


def test_memory_is_weights_and_the_cache_of_every_slot() -> None:
    check_memory(CONFIG, HEADER, available_bytes=4 * GIB)
    with pytest.raises(ModelError) as caught:
        check_memory(CONFIG, HEADER, available_bytes=4 * GIB - 1)
    message = str(caught.value)
    assert "needs about 4.0 GiB of memory and 4.0 GiB are free" in message
    assert "a smaller model, or lower PARLEY_CONTEXT or PARLEY_PARALLEL" in message


def test_the_context_is_no_longer_than_the_model_was_trained_on() -> None:
    assert usable_context(CONFIG, HEADER) == 4096
    assert usable_context(CONFIG, replace(HEADER, trained_context=1024)) == 1024
    assert usable_context(CONFIG, replace(HEADER, trained_context=0)) == 4096


def test_available_memory_is_the_containers_where_that_is_less(tmp_path: Path) -> None:
    free = fetch_available_bytes(tmp_path / "none")
    assert free > 0
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 300\ninactive_file 100\n")
    assert fetch_available_bytes(tmp_path) == 1000 - 700 + 100
    (tmp_path / "memory.max").write_text("max\n")
    assert fetch_available_bytes(tmp_path) > 1000


def test_a_batch_takes_less_than_a_second() -> None:
    assert choose_batch_tokens(3_000_000, 1) == 512
    assert choose_batch_tokens(1_100_000_000, 2) == 48
    assert choose_batch_tokens(70_000_000_000, 2) == 32


def test_small_models_get_one_thread_and_large_ones_all() -> None:
    assert choose_threads(3_000_000, 8) == 1
    assert choose_threads(100_000_000, 8) == 5
    assert choose_threads(3_000_000_000, 8) == 8


def test_the_prompt_cache_is_a_share_of_memory() -> None:
    assert choose_cache_mib(4 * GIB) == 512
    assert choose_cache_mib(64 * GIB) == 2048


def test_a_server_on_the_processor_gets_batches_for_it() -> None:
    planned = plan_child(CONFIG, HEADER, socket_path=Path("/x/1.sock"), api_key="key")
    assert (planned.batch_tokens, planned.threads, planned.server_binary) == (80, 8, None)
    assert planned.has_plain_attention
    assert planned.cache_mib > 0
    assert Path(planned.model_path).is_absolute()
    own = replace(CONFIG, server_binary=Path("/opt/llama-server"))
    assert plan_child(own, HEADER, socket_path=Path("/x/1.sock"), api_key="key").batch_tokens == 80


def test_a_server_on_a_gpu_chooses_its_batches_and_copies_no_conversation_to_memory() -> None:
    config = replace(CONFIG, server_binary=Path("/opt/llama-server"), computes_on=ComputesOn.GPU)
    planned = plan_child(config, HEADER, socket_path=Path("/x/1.sock"), api_key="key")
    assert (planned.batch_tokens, planned.server_binary) == (0, "/opt/llama-server")
    assert not planned.has_plain_attention
    assert planned.cache_mib == 0
    check_memory(config, HEADER, available_bytes=1)


def test_a_server_that_does_not_tell_chooses_its_batches_and_keeps_conversations_in_memory() -> None:
    config = replace(CONFIG, server_binary=Path("/opt/llama-server"), computes_on=ComputesOn.UNKNOWN)
    planned = plan_child(config, HEADER, socket_path=Path("/x/1.sock"), api_key="key")
    assert (planned.batch_tokens, planned.has_plain_attention) == (0, False)
    assert planned.cache_mib > 0
