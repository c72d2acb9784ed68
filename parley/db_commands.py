"""`parley db …`: backups of the database, and moving to another, from the command line.

How copies are made, `storage/backups.py` and `storage/copying.py` know.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from parley.failure import FailureError
from parley.settings import Settings, load_settings
from storage import backups, copying
from storage.clock import SystemClock
from storage.database import Database
from storage.days import DayZone
from storage.ledger import Ledger
from storage.postgresql_url import is_postgresql
from storage.sqlite import parse_path

_MIB = 1 << 20

_DATA = Path("data")
"""Where what a restore replaces is kept when the database is no file: beside the database's default place."""

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def db() -> None:
    """Back up and restore the database, or move to another."""


@db.command()
@click.argument("file", type=_FILE)
def backup(file: Path) -> None:
    """Write the database to FILE while Parley runs; never over a file that is there."""
    size = _back_up(load_settings().database_url, file)
    click.echo(f"{file} holds the whole database ({size / _MIB:.1f} MiB); parley db restore {file} puts it back.")


@db.command()
@click.argument("file", type=_FILE)
def restore(file: Path) -> None:
    """Put what FILE holds in the database's place; what was there is kept in another file.

    On SQLite also while Parley runs.
    """
    settings = load_settings()
    backups.inspect(file)
    with _prepared(file, settings) as prepared:
        kept = _keep_present(settings.database_url)
        try:
            _put_back(prepared, settings.database_url)
        except BaseException:
            # Nothing was replaced.
            if kept is not None:
                kept.unlink()
            raise
    click.echo(f"The database holds what {file} held." + (f" What it held before is in {kept}." if kept else ""))


@db.command()
@click.option("--from", "source", metavar="URL", help="What is copied; default: DATABASE_URL.")
@click.option("--to", "target", metavar="URL", help="Where it is copied to; default: DATABASE_URL.")
@click.option("--replace", "replaces", is_flag=True, help="Delete what is there and did not come from a copy.")
def copy(*, source: str | None, target: str | None, replaces: bool) -> None:
    """Copy everything from one database to another, of whichever kind, and prove it by reading it back.

    Stop Parley first: what is done meanwhile is not copied. It can be done again, until the copy is used.
    """
    if source is None and target is None:
        raise click.UsageError("say where to, or from where: --to URL, --from URL")
    own = load_settings().database_url
    source, target = source or own, target or own
    if source == target:
        raise FailureError("--from and --to are the same database; give two")
    _require_source(source)
    rows = asyncio.run(_copy(source, target, replaces=replaces, is_told=True))
    click.echo(f"{rows} rows were copied, and read back the same.")


def _back_up(url: str, file: Path) -> int:
    """Write a database of either kind to a file; a PostgreSQL by way of one that is made for it."""
    if not is_postgresql(url):
        return backups.back_up(parse_path(url), file)
    with _removed_afterwards(file.with_name(f".{file.name}.copied")) as copied:
        backups.create_private(copied)
        asyncio.run(_copy(url, f"sqlite:///{copied.absolute()}"))
        return backups.back_up(copied, file)


def _put_back(file: Path, url: str) -> None:
    if is_postgresql(url):
        asyncio.run(_copy(f"sqlite:///{file.absolute()}", url, replaces=True))
    else:
        backups.put_back(file, parse_path(url))


async def _copy(source: str, target: str, *, replaces: bool = False, is_told: bool = False) -> int:
    async with _opened(source) as one, _opened(target, is_filled=True) as other:
        return await copying.copy(one, other, replaces=replaces, tell=_tell if is_told else None)


def _tell(table: str, rows: int) -> None:
    click.echo(f"{rows:>9}  {table}")


@asynccontextmanager
async def _opened(url: str, *, is_filled: bool = False) -> AsyncIterator[Database]:
    """Open a database; a file that is filled must have no service. What serves a PostgreSQL `copying` finds itself."""
    database = await Database.open(url, sole_service=is_filled and not is_postgresql(url))
    try:
        yield database
    finally:
        await database.close()


def _require_source(url: str) -> None:
    if not is_postgresql(url) and not parse_path(url).is_file():
        raise FailureError(f"there is no database {parse_path(url)}; give the URL of one that is there")


@contextmanager
def _prepared(file: Path, settings: Settings) -> Iterator[Path]:
    """Make a copy with today's schema and without calls under way, whose replies ended long ago; for the block."""
    path = _DATA / "parley.db" if is_postgresql(settings.database_url) else parse_path(settings.database_url)
    with _removed_afterwards(path.with_name(f".{path.name}.restoring")) as prepared:
        try:
            prepared.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            backups.create_private(prepared)
            shutil.copyfile(file, prepared)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise FailureError(f"{file} cannot be copied to {prepared.parent} ({reason}); make room there") from None
        asyncio.run(_bring_up_to_date(f"sqlite:///{prepared.absolute()}", settings))
        yield prepared


async def _bring_up_to_date(url: str, settings: Settings) -> None:
    async with _opened(url) as database:
        await Ledger(database, zone=DayZone(settings.reset_zone), clock=SystemClock()).reclaim_open_calls()


def _keep_present(url: str) -> Path | None:
    """Back up what a restore replaces; None where there is nothing yet."""
    path = _DATA / "parley.db" if is_postgresql(url) else parse_path(url)
    if not is_postgresql(url) and not path.exists():
        return None
    kept = path.with_name(f"{path.name}.before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    _back_up(url, kept)
    return kept


@contextmanager
def _removed_afterwards(path: Path) -> Iterator[Path]:
    """Remove a database file, and what SQLite and Parley put beside it, at the end of the block."""
    try:
        yield path
    finally:
        for suffix in ("", "-wal", "-shm", ".lock"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
