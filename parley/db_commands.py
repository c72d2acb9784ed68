"""`parley db …`: backups of the database from the command line. How copies are made, `storage/backups.py` knows."""

import asyncio
import shutil
from datetime import UTC, datetime
from pathlib import Path

import click

from parley.failure import FailureError
from parley.settings import Settings, load_settings
from storage import backups
from storage.clock import SystemClock
from storage.database import Database
from storage.days import DayZone
from storage.ledger import Ledger
from storage.sqlite import parse_path

_MIB = 1 << 20


@click.group()
def db() -> None:
    """Back up and restore the database."""


@db.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(file: Path) -> None:
    """Write the database to FILE while Parley runs; never over a file that is there."""
    path = _database_path(load_settings())
    size = backups.back_up(path, file)
    click.echo(f"{file} holds all of {path} ({size / _MIB:.1f} MiB); parley db restore {file} puts it back.")


@db.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def restore(file: Path) -> None:
    """Put what FILE holds in the database's place, also while Parley runs; what was there is kept beside it."""
    settings = load_settings()
    path = _database_path(settings)
    backups.inspect(file)
    prepared = path.with_name(f".{path.name}.restoring")
    try:
        _prepare(file, prepared, settings)
        kept = _keep_present(path)
        backups.put_back(prepared, path)
    finally:
        for suffix in ("", "-wal", "-shm"):
            prepared.with_name(prepared.name + suffix).unlink(missing_ok=True)
    click.echo(f"{path} holds what {file} held." + (f" What it held before is in {kept}." if kept else ""))


def _database_path(settings: Settings) -> Path:
    return parse_path(settings.database_url)


def _prepare(file: Path, prepared: Path, settings: Settings) -> None:
    """Make a copy with today's schema and without calls under way: their replies ended long ago."""
    try:
        prepared.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        prepared.touch(mode=0o600)
        shutil.copyfile(file, prepared)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise FailureError(f"{file} cannot be copied beside the database ({reason}); make room there") from None

    url = f"sqlite:///{prepared.absolute()}"

    async def bring_up_to_date() -> None:
        database = await Database.open(url)
        try:
            zone = DayZone(settings.reset_zone)
            await Ledger(database, zone=zone, clock=SystemClock()).reclaim_open_calls()
        finally:
            await database.close()

    asyncio.run(bring_up_to_date())


def _keep_present(path: Path) -> Path | None:
    """Back up what a restore replaces; None where there is nothing yet."""
    if not path.exists():
        return None
    kept = path.with_name(f"{path.name}.before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    backups.back_up(path, kept)
    return kept
