"""What docs/operations.md says of memory and of files, held against the code."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from generation.errors import ModelError
from generation.gguf_file import GgufHeader, _kv_bytes_per_token
from generation.launch import LocalConfig, check_memory
from parley.settings import Settings

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/operations.md").read_text("utf-8")

TABLE = TEXT.partition("<!-- sizing -->")[2].partition("<!-- /sizing -->")[0].strip().splitlines()[2:]

CONFIG = LocalConfig(
    model_path=Path("model.gguf"),
    model_name="model",
    context_tokens=int(Settings.model_fields["context"].default),
    slots=int(Settings.model_fields["parallel"].default),
    threads=1,
)


def header_of(*, layers: int, kv_heads: int, width: int, file_bytes: int) -> GgufHeader:
    """The header of a model of this shape; how many heads ask does not matter to the cache."""
    values = {
        "llama.block_count": layers,
        "llama.attention.head_count": 2 * kv_heads,
        "llama.attention.head_count_kv": kv_heads,
        "llama.embedding_length": 2 * kv_heads * width,
    }
    return GgufHeader(
        size_bytes=file_bytes,
        architecture="llama",
        trained_context=131_072,
        parameters=1,
        kv_bytes_per_token=_kv_bytes_per_token(values, "llama"),
        tokens=(b"a",),
        token_kinds=(1,),
        tokenizer="llama",
        adds_space_prefix=False,
        adds_bos=True,
        chat_template=None,
    )


def needed_gib(config: LocalConfig, header: GgufHeader) -> str:
    """What the check before a start says is needed."""
    with pytest.raises(ModelError) as caught:
        check_memory(config, header, available_bytes=0)
    found = re.search(r"about ([\d.]+) GiB", str(caught.value))
    assert found
    return found[1]


def test_there_is_a_model_of_each_size() -> None:
    sizes = [float(found[1]) for found in re.finditer(r"^\| [^|]*?([\d.]+)B \|", "\n".join(TABLE), re.MULTILINE)]
    assert min(sizes) <= 1
    assert max(sizes) >= 70
    assert len(sizes) == len(TABLE) > 8


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.split("|")[1].strip().replace(" ", "-"))
def test_the_table_of_sizes_is_what_a_start_asks_for(row: str) -> None:
    layers, kv_heads, width, cache, file, whole, slot = (cell.split()[0] for cell in row.strip("| ").split(" | ")[1:])
    file_bytes = round(float(file) * 1e9)
    header = header_of(layers=int(layers), kv_heads=int(kv_heads), width=int(width), file_bytes=file_bytes)
    # The formula as the text has it.
    formula = int(layers) * int(kv_heads) * (int(width) + int(width)) * 2
    assert header.kv_bytes_per_token == formula == int(cache) * 1024
    assert needed_gib(CONFIG, header) == whole
    check_memory(CONFIG, header, available_bytes=file_bytes + CONFIG.slots * CONFIG.context_tokens * formula)
    one_slot = CONFIG.context_tokens * formula / 2**30
    assert f"{one_slot:.2f}" == slot
    assert float(needed_gib(replace(CONFIG, slots=5), header)) == pytest.approx(float(whole) + one_slot, abs=0.1)


def test_links_lead_somewhere() -> None:
    headings = {re.sub(r"[^\w -]", "", line[3:].lower()).replace(" ", "-") for line in re.findall("## .*", TEXT)}
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif not target.startswith("http"):
            assert (ROOT / "docs" / target.partition("#")[0]).exists() or (ROOT / f"docs/{target}.md").exists(), target


def test_arguments_of_the_engine_are_those_that_are_passed() -> None:
    from generation.child import ChildSettings, binary_command

    settings = ChildSettings(
        model_path="model.gguf",
        socket_path="socket",
        api_key="key",
        context_tokens=4096,
        slots=4,
        threads=2,
        batch_tokens=64,
        cache_mib=0,
        server_binary="llama-server",
        has_plain_attention=True,
        adapter_paths=["adapter.gguf"],
        states_folder="states",
    )
    passed = [each for each in binary_command("llama-server", settings, Path("key")) if each.startswith("--")]
    paragraph = TEXT.partition("starts it with `--model")[2].partition("\n\n")[0]
    assert {"--model", *re.findall(r"--[\w-]+", paragraph)} == set(passed)
