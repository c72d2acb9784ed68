"""`/tokens`: API tokens for whoever may manage them. Plain forms; the page works without a script.

Owns: what each form does, and the words after it. A token's secret is in the one reply that made it and nowhere else.
Does not own: tokens (`storage/tokens.py`), or who may manage which (`sessions.py`).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from aiohttp import web

from api import keys
from api.errors import ApiError, invalid
from api.web.forms import read_form, read_whole
from api.web.login import show_login
from api.web.pages import lead_to, show
from api.web.sessions import Server, Session
from storage.errors import (
    TokenExpiredError,
    TokenNotFoundError,
    TokenRevokedError,
    TokenRotatedError,
    TooManyTokensError,
)
from storage.ledger import TenantUsage
from storage.schema import MAX_TOKEN_NAME_LENGTH
from storage.tokens import EVERY_GUILD, ApiToken, GuildScope, IssuedToken

MOST_DAILY_CALLS: Final = {True: 2**31 - 1, False: 1_000_000}
"""For the operator, and for others, as in Discord."""

MOST_LLM_TOKENS: Final = 2**53 - 1
MOST_DAYS: Final = 36_500

GRACES: Final[Mapping[int, str]] = {0: "at once", 3600: "in 1 hour", 24 * 3600: "in 1 day", 7 * 24 * 3600: "in 7 days"}
"""When the old secret ends after a rotation, by seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownToken:
    """A token and what it has used."""

    token: ApiToken
    usage: TenantUsage
    is_expired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The tokens of one Discord server, or of none. `may_create`: a form to make one stands above them."""

    title: str
    server_id: int | None
    tokens: Sequence[ShownToken]
    may_create: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a form came to: a sentence, and a secret where one was made."""

    said: str
    issued: IssuedToken | None = None
    is_problem: bool = False
    typed: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a form says of a token's limits; None where a field was left empty."""

    daily_calls: int | None
    llm_tokens: int | None


Change = Callable[[web.Request, Session, Mapping[str, str]], Awaitable[Outcome]]


async def tokens(request: web.Request) -> web.Response:
    """Answer `GET /tokens`; whoever is not logged in sees how to."""
    session = request.app[keys.SESSIONS].find(request)
    return show_login(request) if session is None else await _show(request, session)


async def create(request: web.Request) -> web.Response:
    """Answer `POST /tokens/create`."""
    return await _after(request, _create)


async def change(request: web.Request) -> web.Response:
    """Answer `POST /tokens/change`."""
    return await _after(request, _change)


async def rotate(request: web.Request) -> web.Response:
    """Answer `POST /tokens/rotate`."""
    return await _after(request, _rotate)


async def revoke(request: web.Request) -> web.Response:
    """Answer `POST /tokens/revoke`."""
    return await _after(request, _revoke)


async def again(request: web.Request) -> web.Response:  # noqa: ARG001 - every handler takes the request
    """Answer a GET of a form's address, as a reload of the page may ask: lead to the page."""
    return lead_to("/tokens")


async def _after(request: web.Request, do: Change) -> web.Response:
    """Do what a form asks and show the page with what became of it; nothing that was typed is lost."""
    sessions = request.app[keys.SESSIONS]
    session = sessions.find(request)
    if session is None:
        return show_login(request, problem="You were logged out; nothing was changed. Log in again.", status=401)
    fields = await read_form(request)
    try:
        sessions.check_form(request, session, fields.get("form", ""))
        outcome = await do(request, session, fields)
        status = 200
    except ApiError as refusal:
        outcome = Outcome(said=refusal.message, is_problem=True, typed=fields)
        status = refusal.status
    return await _show(request, session, outcome, status=status)


async def _create(request: web.Request, session: Session, fields: Mapping[str, str]) -> Outcome:
    config = request.app[keys.CONFIG]
    server = None if session.is_operator else _server(session, fields)
    limits = _read_limits(session, fields)
    days = read_whole(fields, "days", "Days until it expires", low=1, high=MOST_DAYS)
    try:
        issued = await request.app[keys.TOKENS].create(
            fields.get("name", ""),
            daily_calls=config.daily_calls if limits.daily_calls is None else limits.daily_calls,
            guild_id=None if server is None else server.id,
            created_by=session.person_id,
            llm_balance=limits.llm_tokens,
            expires_at=None if days is None else request.app[keys.CLOCK].now() + timedelta(days=days),
            mature=config.mature,
            limit_in_guild=None if server is None else config.tokens_per_server,
        )
    except TooManyTokensError as error:
        raise invalid(f"This server has {error.limit} tokens already; revoke one first.") from None
    except ValueError as error:
        raise invalid(_sentence(str(error))) from None
    return Outcome(said=f"“{issued.token.name}” is made.", issued=issued)


async def _change(request: web.Request, session: Session, fields: Mapping[str, str]) -> Outcome:
    token, scope = await _find(request, session, fields)
    limits = _read_limits(session, fields)
    try:
        changed = await request.app[keys.TOKENS].change(
            token.id,
            guild_id=scope,
            name=fields.get("name"),
            daily_calls=limits.daily_calls,
            llm_balance=limits.llm_tokens,
        )
    except ValueError as error:
        raise invalid(_sentence(str(error))) from None
    return Outcome(said=f"“{changed.name}” is changed.")


async def _rotate(request: web.Request, session: Session, fields: Mapping[str, str]) -> Outcome:
    token, scope = await _find(request, session, fields)
    grace = read_whole(fields, "grace", "The old secret's end", low=0, high=max(GRACES)) or 0
    try:
        issued = await request.app[keys.TOKENS].rotate(
            token.id, guild_id=scope, grace=timedelta(seconds=grace), seen_at=_instant(fields.get("seen", ""))
        )
    except TokenRotatedError:
        raise invalid(
            f"“{token.name}” was rotated elsewhere since this page was loaded, and has its new secret there. "
            "Nothing was changed; rotate it again if that secret is not to hand."
        ) from None
    except (TokenRevokedError, TokenExpiredError):
        raise invalid(f"“{token.name}” is no longer good; make a new token.") from None
    said = f"“{token.name}” has a new secret; the old one ends {GRACES.get(grace, 'soon')}."
    return Outcome(said=said, issued=issued)


async def _revoke(request: web.Request, session: Session, fields: Mapping[str, str]) -> Outcome:
    token, scope = await _find(request, session, fields)
    await request.app[keys.TOKENS].revoke(token.id, guild_id=scope)
    return Outcome(said=f"“{token.name}” is revoked.")


async def _find(request: web.Request, session: Session, fields: Mapping[str, str]) -> tuple[ApiToken, GuildScope]:
    """Find the token that a form names, among those that the session may manage."""
    scope: GuildScope = EVERY_GUILD if session.is_operator else _server(session, fields).id
    try:
        return await request.app[keys.TOKENS].get(fields.get("id", ""), guild_id=scope), scope
    except TokenNotFoundError:
        raise invalid("There is no such token here any more.") from None


def _read_limits(session: Session, fields: Mapping[str, str]) -> Limits:
    return Limits(
        daily_calls=read_whole(fields, "daily_calls", "Calls a day", low=0, high=MOST_DAILY_CALLS[session.is_operator]),
        llm_tokens=read_whole(fields, "llm_tokens", "LLM tokens", low=0, high=MOST_LLM_TOKENS),
    )


def _server(session: Session, fields: Mapping[str, str]) -> Server:
    server_id = read_whole(fields, "server", "Discord server", low=0, high=2**63 - 1)
    return session.server(server_id or 0)


def _instant(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        raise invalid("This form is damaged; load the page again.") from None


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


async def _show(
    request: web.Request, session: Session, outcome: Outcome | None = None, *, status: int = 200
) -> web.Response:
    config, clock = request.app[keys.CONFIG], request.app[keys.CLOCK]
    # Taken before the tokens are read, so that a rotation meanwhile counts as later.
    seen = clock.now()
    return show(
        request,
        "tokens.html",
        status=status,
        session=session,
        form_token=lambda: request.app[keys.SESSIONS].form_token(session),
        shelves=await _shelves(request, session),
        outcome=outcome,
        typed=outcome.typed if outcome is not None and outcome.typed is not None else {},
        seen=repr(seen.timestamp()),
        graces=GRACES,
        daily_calls=config.daily_calls,
        most_daily_calls=MOST_DAILY_CALLS[session.is_operator],
        most_name_characters=MAX_TOKEN_NAME_LENGTH,
        address=config.public_url,
    )


async def _shelves(request: web.Request, session: Session) -> list[Shelf]:
    """Collect the tokens by server; the operator sees every one."""
    store = request.app[keys.TOKENS]
    if session.servers is not None:
        found = {each.id: await store.list(guild_id=each.id) for each in session.servers}
        titles = {each.id: each.name for each in session.servers}
        return [await _shelf(request, titles[key], key, each, may_create=True) for key, each in found.items()]
    by_server: dict[int | None, list[ApiToken]] = {None: []}
    for token in await store.list():
        by_server.setdefault(token.guild_id, []).append(token)
    return [
        await _shelf(
            request, "Your tokens" if key is None else f"Discord server {key}", key, each, may_create=key is None
        )
        for key, each in by_server.items()
    ]


async def _shelf(
    request: web.Request, title: str, server_id: int | None, found: Sequence[ApiToken], *, may_create: bool
) -> Shelf:
    usage = await request.app[keys.LEDGER].usage_of([token.id for token in found])
    now = request.app[keys.CLOCK].now()
    shown = [
        ShownToken(
            token=token,
            usage=usage[token.id],
            is_expired=token.expires_at is not None and token.expires_at <= now,
        )
        for token in found
    ]
    return Shelf(title=title, server_id=server_id, tokens=shown, may_create=may_create)
