"""`parley model …`: download, list and check model files."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from generation.gguf_file import read_gguf_header
from generation.hub import RECOMMENDED, fetch_model, list_downloaded
from parley.demo_model import DEMO_NAME, demo_path

GIB = 2**30
MIB = 2**20


@click.group()
def model() -> None:
    """Download, list and check models."""


@model.command()
@click.argument("spec", required=False, metavar="[hf:owner/repo/file.gguf]")
def pull(spec: str | None) -> None:
    """Download a model; without a name, list a handful of good small ones."""
    console = Console()
    if spec is None:
        _recommend(console)
        return
    path = fetch_model(spec, show_progress=True)
    header = read_gguf_header(path)
    click.echo(f"{path}: {header.architecture}, {header.parameters / 1e9:.1f} billion parameters")
    click.echo(f"Set PARLEY_MODEL={spec} in .env to use it.")


@model.command("list")
def list_models() -> None:
    """List the models on this machine."""
    click.echo(f"demo  {DEMO_NAME}, bundled, {demo_path().stat().st_size / MIB:.1f} MiB")
    for downloaded in list_downloaded():
        click.echo(f"{downloaded.spec}  {downloaded.size_bytes / GIB:.2f} GiB")


@model.command()
@click.argument("path", type=click.Path(path_type=Path))
def check(path: Path) -> None:
    """Say what a model file is, or what is wrong with it."""
    header = read_gguf_header(path)
    click.echo(f"architecture   {header.architecture}")
    click.echo(f"parameters     {header.parameters / 1e6:,.1f} million")
    click.echo(f"size           {header.size_bytes / MIB:,.1f} MiB")
    click.echo(f"context        {header.trained_context} tokens")
    click.echo(f"vocabulary     {len(header.tokens)} tokens")
    click.echo(f"chat template  {'yes' if header.chat_template else 'none: the engine will guess one'}")
    click.echo(f"KV cache       {header.kv_bytes_per_token * 1024 / MIB:.1f} MiB per 1,024 tokens and slot")


def _recommend(console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("Model", "Download", "Memory", "Licence", "Good for"):
        table.add_column(column)
    for each in RECOMMENDED:
        table.add_row(each.name, f"{each.download_gb:.1f} GB", f"{each.memory_gb:.1f} GB", each.licence, each.good_for)
    console.print(table)
    click.echo("\nDownload one, then set it in .env:")
    for each in RECOMMENDED:
        click.echo(f"  parley model pull {each.spec}")
