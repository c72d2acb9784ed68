"""`parley token …`: API tokens from the command line. What a token is, `storage/tokens.py` knows."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from parley.failure import FailureError
from parley.settings import Settings, load_settings
from parley.stores import Stores, open_stores
from storage.errors import TokenExpiredError, TokenNotFoundError, TokenRevokedError
from storage.tokens import ApiToken, IssuedToken

ResultT = TypeVar("ResultT")


@click.group()
def token() -> None:
    """Create, list, revoke and rotate API tokens."""


@token.command()
@click.option("--name", required=True, help="What the token is for, 1 to 64 characters.")
@click.option("--daily-calls", type=click.IntRange(0, 2**31 - 1), help="Calls per day; default: PARLEY_DAILY_CALLS.")
@click.option("--llm-tokens", type=click.IntRange(0, 2**53), help="Balance of LLM tokens; default: not counted.")
@click.option("--expires-days", type=click.IntRange(1, 36_500), help="Days until it expires; default: never.")
@click.option("--json", "as_json", is_flag=True, help="Print an object instead of the token alone.")
def create(
    *, name: str, daily_calls: int | None, llm_tokens: int | None, expires_days: int | None, as_json: bool
) -> None:
    """Issue a token and print it, once."""

    async def issue(stores: Stores, settings: Settings) -> IssuedToken:
        expires_at = datetime.now(UTC) + timedelta(days=expires_days) if expires_days is not None else None
        return await stores.tokens.create(
            name,
            daily_calls=settings.daily_calls if daily_calls is None else daily_calls,
            llm_balance=llm_tokens,
            expires_at=expires_at,
            mature=settings.mature,
        )

    _print_issued(_with_stores(issue), as_json=as_json)


@token.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
def list_tokens(*, as_json: bool) -> None:
    """List every token; secrets are not kept and cannot be shown."""
    tokens = _with_stores(lambda stores, _: stores.tokens.list(include_revoked=True))
    if as_json:
        click.echo(json.dumps([_facts(each) for each in tokens], indent=2))
        return
    if not tokens:
        click.echo("There are no tokens yet; parley token create --name NAME makes one.")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("ID", no_wrap=True, overflow="ignore")
    for column in ("Name", "State", "Calls a day", "LLM tokens", "Expires", "Server"):
        table.add_column(column, overflow="fold")
    for each in tokens:
        table.add_row(
            each.id,
            each.name,
            _state(each),
            str(each.daily_calls),
            "not counted" if each.llm_balance is None else str(each.llm_balance),
            "never" if each.expires_at is None else f"{each.expires_at:%Y-%m-%d}",
            "" if each.guild_id is None else str(each.guild_id),
        )
    Console().print(table)


@token.command()
@click.argument("token_id", metavar="ID")
def revoke(token_id: str) -> None:
    """End a token for good."""
    revoked = _with_stores(lambda stores, _: stores.tokens.revoke(token_id))
    click.echo(f"{revoked.id} ({revoked.name}) is revoked.")


@token.command()
@click.argument("token_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print an object instead of the token alone.")
def rotate(token_id: str, *, as_json: bool) -> None:
    """Give a token a new secret and print it, once; the old one ends now."""
    _print_issued(_with_stores(lambda stores, _: stores.tokens.rotate(token_id)), as_json=as_json)


def _with_stores(command: Callable[[Stores, Settings], Awaitable[ResultT]]) -> ResultT:
    settings = load_settings()

    async def run() -> ResultT:
        async with open_stores(settings) as stores:
            try:
                return await command(stores, settings)
            except TokenNotFoundError:
                raise FailureError("there is no token with this ID; parley token list shows them") from None
            except TokenRevokedError:
                raise FailureError("this token is revoked; parley token create makes a new one") from None
            except TokenExpiredError:
                raise FailureError("this token has expired; parley token create makes a new one") from None
            except ValueError as error:
                raise FailureError(str(error)) from None

    return asyncio.run(run())


def _print_issued(issued: IssuedToken, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"token": issued.secret, **_facts(issued.token)}, indent=2))
    else:
        click.echo(issued.secret)


def _state(each: ApiToken) -> str:
    if each.revoked_at is not None:
        return "revoked"
    if each.expires_at is not None and each.expires_at <= datetime.now(UTC):
        return "expired"
    return "active"


def _facts(each: ApiToken) -> dict[str, Any]:
    return {
        "id": each.id,
        "name": each.name,
        "state": _state(each),
        "daily_calls": each.daily_calls,
        "llm_tokens": each.llm_balance,
        "created_at": each.created_at.isoformat(),
        "expires_at": each.expires_at.isoformat() if each.expires_at is not None else None,
        "guild_id": str(each.guild_id) if each.guild_id is not None else None,
    }
