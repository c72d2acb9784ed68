"""The command line: parses, calls, and turns every foreseeable failure into one line and status 1."""

import asyncio
import sys
from importlib import import_module
from typing import Any

import click
from rich.console import Console

from bot.errors import DiscordLoginError
from generation.errors import ModelError
from parley import __version__
from parley.failure import FailureError
from parley.logs import configure_logging
from parley.settings import Settings, SettingsError, load_settings
from storage.errors import StorageError

FORESEEN = (SettingsError, StorageError, ModelError, DiscordLoginError)


_ELSEWHERE = {"token": "token_commands", "db": "db_commands", "model": "model_commands", "link": "pages"}
"""Commands that stand in modules of their own, which are loaded when they are asked for: some take seconds."""


class ParleyGroup(click.Group):
    """Every command beneath it ends in one line on standard error, never in a traceback."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Name the commands of this module and those of others."""
        return sorted({*super().list_commands(context), *_ELSEWHERE})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Find a command, in whichever module it stands."""
        if name not in _ELSEWHERE:
            return super().get_command(context, name)
        command: click.Command = getattr(import_module(f"parley.{_ELSEWHERE[name]}"), name)
        return command

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(context)
        except FORESEEN as error:
            raise FailureError(str(error)) from None
        except KeyboardInterrupt:
            raise FailureError("stopped") from None


@click.group(cls=ParleyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="parley %(version)s")
def main() -> None:
    """Run Parley: a Discord bot with its own language model and its own HTTP API."""


@main.command()
def up() -> None:
    """Start service, bot and engine in one process."""
    _serve(with_bot=True)


@main.command()
def api() -> None:
    """Start the service and the engine; the bot runs elsewhere."""
    _serve(with_bot=False)


@main.command()
def bot() -> None:
    """Start the bot alone, against the service at PARLEY_API_URL."""
    settings = _load_settings_and_log()
    from parley.lifetime import serve_bot  # noqa: PLC0415 - a wrong setting need not wait for it

    asyncio.run(serve_bot(settings, console=Console()))


@main.command()
@click.option("--persona", help="System prompt; default: PARLEY_SYSTEM_PROMPT.")
def chat(persona: str | None) -> None:
    """Talk to the model in this terminal."""
    settings = load_settings()
    from parley.chat import talk  # noqa: PLC0415 - the short commands need not load it

    asyncio.run(talk(settings, persona=persona))


@main.command()
def doctor() -> None:
    """Check settings, database, engine, model and Discord login, and say what to do."""
    from parley.doctor import examine  # noqa: PLC0415 - the short commands need not load it

    sys.exit(0 if asyncio.run(examine(Console())) else 1)


def _serve(*, with_bot: bool) -> None:
    settings = _load_settings_and_log()
    from parley.lifetime import serve  # noqa: PLC0415 - a wrong setting need not wait for it

    asyncio.run(serve(settings, console=Console(), with_bot=with_bot))


def _load_settings_and_log() -> Settings:
    settings = load_settings()
    configure_logging(log_format=settings.log_format)
    return settings


if __name__ == "__main__":
    main()
