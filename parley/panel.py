"""What a person sees in the terminal when Parley has started. Text only; nothing is decided here."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from api.examples.catalogue import first_curl

DISCORD_STEPS = (
    "off. To turn it on: make a bot at https://discord.com/developers/applications, copy its token, "
    "put DISCORD_TOKEN=<token> in .env, start again"
)

NOBODY_MAY_ACT = (
    "off: no bot can use this service, only API tokens can. To turn it on: make a secret (openssl rand -hex 32), put "
    "PARLEY_SERVICE_TOKEN=<secret> in .env here and where `parley bot` runs, start both again"
)

PROGRAM = ".venv/bin/parley"
"""How a newcomer calls the command that `make run` installed."""

DEMO_NOTE = (
    "The bundled model is a demonstration: it speaks, remembers and counts in a small world and knows little else. "
    f"For a real one: `{PROGRAM} model pull` lists good small models; then set PARLEY_MODEL."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFacts:
    """What the panel tells.

    `login_url` logs the operator in once; `first_token` is an API token's secret on the very first start only.
    """

    model: str
    is_demo: bool
    api_url: str
    discord: str
    login_url: str
    first_token: str | None = None


def print_panel(console: Console, facts: StartFacts) -> None:
    """Print the panel, and on the very first start a line that works when pasted."""
    console.print(Panel(Group(*_rows(facts)), title="Parley is running", title_align="left", expand=False))
    console.print("Open the start page, logged in (once, within a day):")
    console.out(facts.login_url, highlight=False)
    console.print()
    if facts.first_token is not None:
        console.print("Your first API token (shown once). Try it:")
        console.print()
        # Printed raw: a wrapped or styled line would not work when pasted.
        console.out(first_curl(address=facts.api_url, secret=facts.first_token), highlight=False)
        console.print()
    else:
        console.print(f"API tokens: {PROGRAM} token create --name NAME", style="dim")
    console.print("Stop with Ctrl-C.", style="dim")


def _rows(facts: StartFacts) -> Iterator[RenderableType]:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in (
        ("Model", facts.model),
        ("Page", f"{facts.api_url}/"),
        ("API", f"{facts.api_url}/ai/chat"),
        ("Docs", f"{facts.api_url}/docs"),
        ("Discord", facts.discord),
    ):
        table.add_row(name, Text(value))
    yield table
    if facts.is_demo:
        yield Text()
        yield Text(DEMO_NOTE, style="yellow")
