"""The command line: parses, calls, and turns every foreseeable failure into one line and status 1."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import click
from rich.console import Console

from bot.errors import DiscordLoginError
from generation.errors import ModelError
from parley import __version__
from parley.db_commands import db
from parley.failure import FailureError
from parley.logs import configure_logging
from parley.model_commands import model
from parley.pages import link
from parley.settings import Settings, SettingsError, load_settings
from parley.token_commands import token
from storage.errors import StorageError

FORESEEN = (SettingsError, StorageError, ModelError, DiscordLoginError)


class ParleyGroup(click.Group):
    """Every command beneath it ends in one line on standard error, never in a traceback."""

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
    from parley.lifetime import serve_bot  # noqa: PLC0415 - the short commands need not load it

    _run(lambda settings: serve_bot(settings, console=Console()))


@main.command()
@click.option("--persona", help="System prompt; default: PARLEY_SYSTEM_PROMPT.")
def chat(persona: str | None) -> None:
    """Talk to the model in this terminal."""
    from parley.chat import talk  # noqa: PLC0415 - the short commands need not load it

    _run(lambda settings: talk(settings, persona=persona), log=False)


@main.command()
def doctor() -> None:
    """Check settings, database, engine, model and Discord login, and say what to do."""
    from parley.doctor import examine  # noqa: PLC0415 - the short commands need not load it

    sys.exit(0 if asyncio.run(examine(Console())) else 1)


def _serve(*, with_bot: bool) -> None:
    from parley.lifetime import serve  # noqa: PLC0415 - the short commands need not load it

    _run(lambda settings: serve(settings, console=Console(), with_bot=with_bot))


def _run(command: Callable[[Settings], Coroutine[Any, Any, None]], *, log: bool = True) -> None:
    settings = load_settings()
    if log:
        configure_logging(log_format=settings.log_format)
    asyncio.run(command(settings))


main.add_command(token)
main.add_command(db)
main.add_command(model)
main.add_command(link)

if __name__ == "__main__":
    main()
