"""`parley model …`: download, list and check model files."""

from pathlib import Path

import click

from generation.gguf_file import read_gguf_header
from generation.recommended import RECOMMENDED
from parley.demo_model import DEMO_NAME, demo_path
from parley.failure import FailureError
from parley.lora import BUNDLED, bundled_path
from parley.model_file import HUB_PREFIX, find_downloads, locate

GIB = 2**30
MIB = 2**20


@click.group()
def model() -> None:
    """Download, list and check models."""


@model.command()
@click.argument("spec", required=False, metavar="[hf:owner/repo/file.gguf]")
def pull(spec: str | None) -> None:
    """Download a model; without a name, list a handful of good small ones."""
    if spec is None:
        _recommend()
        return
    if not spec.startswith(HUB_PREFIX):
        raise FailureError("write hf:owner/repo/file.gguf; `parley model pull` alone lists some")
    path = locate(spec)
    header = read_gguf_header(path)
    click.echo(f"{path}: {header.architecture}, {header.parameters / 1e9:.1f} billion parameters")
    click.echo(f"Set PARLEY_MODEL={spec} in .env to use it.")


@model.command("list")
def list_models() -> None:
    """List the models on this machine."""
    click.echo(f"demo  {DEMO_NAME}, bundled, {demo_path().stat().st_size / MIB:.1f} MiB")
    click.echo(f"{BUNDLED}  LoRA adapter for it, bundled, {bundled_path().stat().st_size / MIB:.1f} MiB")
    for spec, path in find_downloads().items():
        click.echo(f"{spec}  {path.stat().st_size / GIB:.2f} GiB")


@model.command()
@click.argument("path", type=click.Path(path_type=Path))
def check(path: Path) -> None:
    """Say what a model file is, or what is wrong with it."""
    if not path.is_file():
        raise FailureError(f"there is no file {path}")
    header = read_gguf_header(path)
    click.echo(f"architecture   {header.architecture}")
    click.echo(f"parameters     {header.parameters / 1e6:,.1f} million")
    click.echo(f"size           {header.size_bytes / MIB:,.1f} MiB")
    click.echo(f"context        {header.trained_context} tokens")
    click.echo(f"vocabulary     {len(header.tokens)} tokens")
    click.echo(f"chat template  {'yes' if header.chat_template else 'none: the engine will guess one'}")
    click.echo(f"KV cache       {header.kv_bytes_per_token * 1024 / MIB:.1f} MiB per 1,024 tokens and slot")


def _recommend() -> None:
    """Print each on two lines; the second can be pasted whole."""
    click.echo("Good small models. Download one, then set PARLEY_MODEL to its name in .env.")
    for each in RECOMMENDED:
        size, memory = f"{each.download_gigabytes:.1f} GB", f"{each.memory_gigabytes:.1f} GB"
        click.echo(f"\n{size} to download, {memory} of memory, {each.licence}: {each.remark}")
        click.echo(f"  parley model pull {each.spec}")
