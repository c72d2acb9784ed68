"""API tokens: issuing, looking up, changing, revoking, rotating.

A secret is shown once and only its digest is kept: 32 random bytes cannot be guessed, so a plain SHA-256 is enough and
a lookup by it is exact. Does not own: what a token may spend per day (`ledger.py`).
"""

import enum
import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Row, Update, and_, bindparam, func, insert, literal, or_, select, true, update

from storage.chunks import in_chunks
from storage.clock import Clock
from storage.counts import check_count
from storage.database import Database
from storage.errors import (
    TokenExpiredError,
    TokenNotFoundError,
    TokenRevokedError,
    TokenRotatedError,
    TokenUnknownError,
    TooManyTokensError,
)
from storage.guards import Guard
from storage.names import clean_name
from storage.schema import MAX_TOKEN_NAME_LENGTH, UtcDateTime, api_tokens, token_secrets
from storage.uninterrupted import LentConnection

SECRET_PREFIX = "parley_"  # noqa: S105 - the recognisable start of every secret, not one
_SECRET_BYTES = 32
_SECRET_PATTERN = re.compile(re.escape(SECRET_PREFIX) + r"[A-Za-z0-9_-]{32,128}")

_TOKEN_COLUMNS = tuple(column.name for column in api_tokens.c)

# Looked up with every call, so it is made once.
_FIND = (
    select(api_tokens, token_secrets.c.ends_at)
    .join(token_secrets, token_secrets.c.token_id == api_tokens.c.id)
    .where(token_secrets.c.digest == bindparam("digest"))
)

# Read aloud and typed by people: no letters that look like digits. 12 of 31 make 59 bits.
_ID_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_ID_LENGTH = 12

MAX_GRACE = timedelta(days=365)
"""How long a secret that was rotated away may go on opening its token."""


_NO_GUILD = "none"


class _Guilds(enum.Enum):
    EVERY = "every guild"


EVERY_GUILD: Final = _Guilds.EVERY
"""In place of a guild: tokens of any guild and of none. For the operator, never for a guild's admin."""

GuildScope = int | None | Literal[_Guilds.EVERY]
"""A Discord server's tokens, those of no server (None), or all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """One API token, without its secret. `daily_calls` per day; `llm_balance` in LLM tokens, None when not kept."""

    id: str
    name: str
    guild_id: int | None
    created_by: int | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    daily_calls: int
    llm_balance: int | None
    mature: bool

    @property
    def tenant_id(self) -> str:
        """Whom the ledger charges for this token's calls."""
        return self.id


_ApiTokens = list[ApiToken]


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A token with its secret, at the only moment it is known."""

    token: ApiToken
    secret: str = field(repr=False)


def generate_secret() -> str:
    """Return a new secret: `parley_` and 43 URL-safe characters."""
    return SECRET_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def digest(secret: str) -> bytes:
    """Return the 32 bytes under which a secret is kept."""
    return hashlib.sha256(secret.encode()).digest()


class TokenStore:
    """The API tokens of one database."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(
        self,
        name: str,
        *,
        daily_calls: int,
        guild_id: int | None = None,
        created_by: int | None = None,
        llm_balance: int | None = None,
        expires_at: datetime | None = None,
        mature: bool = False,
        limit_in_guild: int | None = None,
    ) -> IssuedToken:
        """Issue a token; raises `ValueError` with a message for people when the name or a number is not usable.

        With `limit_in_guild`, raises `TooManyTokensError` when so many of the guild's tokens (of those of no guild, for
        None) are neither revoked nor expired.
        """
        token = ApiToken(
            id=_new_id(),
            name=clean_name(name, max_length=MAX_TOKEN_NAME_LENGTH),
            guild_id=guild_id,
            created_by=created_by,
            created_at=self._clock.now(),
            expires_at=_check_instant("expiry", expires_at),
            revoked_at=None,
            daily_calls=check_count("daily calls", daily_calls),
            llm_balance=None if llm_balance is None else check_count("LLM tokens", llm_balance),
            mature=mature,
        )
        # Whoever counts before it adds must be alone with the guild's tokens.
        async with self._database.writing(Guard("tokens", guild_id or _NO_GUILD)) as connection:
            if limit_in_guild is not None:
                await _check_room(connection, guild_id, limit_in_guild, token.created_at)
            return IssuedToken(token=token, secret=await _add_token(connection, token))

    async def create_first(self, name: str, *, daily_calls: int, mature: bool) -> IssuedToken | None:
        """Issue a token where none was ever issued; None where one was, also by another process at this moment."""
        token = ApiToken(
            id=_new_id(),
            name=clean_name(name, max_length=MAX_TOKEN_NAME_LENGTH),
            guild_id=None,
            created_by=None,
            created_at=self._clock.now(),
            expires_at=None,
            revoked_at=None,
            daily_calls=check_count("daily calls", daily_calls),
            llm_balance=None,
            mature=mature,
        )
        async with self._database.writing(Guard("tokens")) as connection:
            if await connection.scalar(select(func.count()).select_from(api_tokens)):
                return None
            return IssuedToken(token=token, secret=await _add_token(connection, token))

    async def find(self, secret: str) -> ApiToken:
        """Return the token that a presented secret opens.

        Raises `TokenUnknownError`, `TokenRevokedError` (also for a secret rotated away) or `TokenExpiredError`.
        """
        if not _SECRET_PATTERN.fullmatch(secret):
            raise TokenUnknownError
        presented = {"digest": digest(secret)}
        row = await self._database.look(lambda connection: connection.execute(_FIND, presented).one_or_none())
        if row is None:
            raise TokenUnknownError
        token, now = _token(row), self._clock.now()
        if token.revoked_at is not None or (row.ends_at is not None and row.ends_at <= now):
            raise TokenRevokedError(token.id)
        if token.expires_at is not None and token.expires_at <= now:
            raise TokenExpiredError(token.id)
        return token

    async def find_live(self, secrets: Sequence[str]) -> _ApiTokens:
        """Return the tokens that any of these texts open at this moment, each once, in the order they were issued.

        For a watcher of what people post: a text that opens nothing, whatever it is, is passed over.
        """
        digests = {digest(secret) for secret in secrets if _SECRET_PATTERN.fullmatch(secret)}
        if not digests:
            return []
        now, ends_at = self._clock.now(), token_secrets.c.ends_at
        found: dict[str, ApiToken] = {}
        async with self._database.reading() as connection:
            for chunk in in_chunks(digests):
                query = (
                    select(api_tokens)
                    .join(token_secrets, token_secrets.c.token_id == api_tokens.c.id)
                    .where(token_secrets.c.digest.in_(chunk), or_(ends_at.is_(None), ends_at > now), _is_active(now))
                )
                found.update({row.id: _token(row) for row in await connection.execute(query)})
        return sorted(found.values(), key=lambda token: (token.created_at, token.id))

    async def get(self, token_id: str, *, guild_id: GuildScope = EVERY_GUILD) -> ApiToken:
        """Return a token by its id, whatever its state; raises `TokenNotFoundError`, also for another guild's."""
        async with self._database.reading() as connection:
            return await _fetch(connection, token_id, guild_id)

    async def count(self) -> int:
        """Count the tokens ever issued, revoked ones included."""
        async with self._database.reading() as connection:
            number: int = await connection.scalar(select(func.count()).select_from(api_tokens))
        return number

    async def revoke(self, token_id: str, *, guild_id: GuildScope = EVERY_GUILD) -> ApiToken:
        """End a token for good; a second time changes nothing. Raises `TokenNotFoundError`."""
        revoked_at = func.coalesce(api_tokens.c.revoked_at, literal(self._clock.now(), UtcDateTime))
        return await self._update(token_id, guild_id, {"revoked_at": revoked_at})

    async def change(
        self,
        token_id: str,
        *,
        guild_id: GuildScope = EVERY_GUILD,
        name: str | None = None,
        daily_calls: int | None = None,
        llm_balance: int | None = None,
    ) -> ApiToken:
        """Give a token another name, allowance or number of LLM tokens that are left; None leaves what is there.

        Counts from the next call on. Raises `TokenNotFoundError`, and `ValueError` with a message for people.
        """
        values: dict[str, object] = {}
        if name is not None:
            values["name"] = clean_name(name, max_length=MAX_TOKEN_NAME_LENGTH)
        if daily_calls is not None:
            values["daily_calls"] = check_count("daily calls", daily_calls)
        if llm_balance is not None:
            values["llm_balance"] = check_count("LLM tokens", llm_balance)
        if not values:
            return await self.get(token_id, guild_id=guild_id)
        return await self._update(token_id, guild_id, values)

    async def rotate(
        self,
        token_id: str,
        *,
        guild_id: GuildScope = EVERY_GUILD,
        grace: timedelta = timedelta(0),
        seen_at: datetime | None = None,
    ) -> IssuedToken:
        """Give a token a new secret; name, allowance and usage stay.

        The old secret opens it for `grace` longer (at most `MAX_GRACE`, else `ValueError`), or until the end an earlier
        rotation has set, if that comes first. Raises `TokenNotFoundError`, and `TokenRevokedError` or
        `TokenExpiredError` for a token that no secret opens. With `seen_at`, raises `TokenRotatedError` when it was
        rotated after that instant.
        """
        if not timedelta(0) <= grace <= MAX_GRACE:
            raise ValueError(f"grace period: give 0 to {MAX_GRACE.days} days")
        now = self._clock.now()
        async with self._database.writing(Guard("secrets", token_id)) as connection:
            token = await _fetch(connection, token_id, guild_id)
            if token.revoked_at is not None:
                raise TokenRevokedError(token_id)
            if token.expires_at is not None and token.expires_at <= now:
                raise TokenExpiredError(token_id)
            if seen_at is not None:
                await _check_unrotated(connection, token_id, seen_at)
            await connection.execute(_end_secrets(token_id, now + grace))
            secret = await _add_secret(connection, token_id, now)
        return IssuedToken(token=token, secret=secret)

    async def list(self, *, guild_id: GuildScope = EVERY_GUILD, include_revoked: bool = False) -> _ApiTokens:
        """Return the tokens in the order they were issued."""
        query = select(api_tokens).where(_belongs_to(guild_id))
        if not include_revoked:
            query = query.where(api_tokens.c.revoked_at.is_(None))
        async with self._database.reading() as connection:
            rows = await connection.execute(query.order_by(api_tokens.c.created_at, api_tokens.c.id))
            return [_token(row) for row in rows]

    async def _update(self, token_id: str, guild_id: GuildScope, values: Mapping[str, object]) -> ApiToken:
        statement = (
            update(api_tokens)
            .where(api_tokens.c.id == token_id, _belongs_to(guild_id))
            .values(**values)
            .returning(api_tokens)
        )
        async with self._database.writing() as connection:
            row = (await connection.execute(statement)).one_or_none()
        if row is None:
            raise TokenNotFoundError(token_id)
        return _token(row)


def _check_instant(what: str, instant: datetime | None) -> datetime | None:
    if instant is not None and instant.utcoffset() is None:
        raise ValueError(f"{what}: give a time with its time zone")
    return instant


def _belongs_to(guild_id: GuildScope) -> ColumnElement[bool]:
    if guild_id is EVERY_GUILD:
        return true()
    return api_tokens.c.guild_id.is_(None) if guild_id is None else api_tokens.c.guild_id == guild_id


async def _fetch(connection: LentConnection, token_id: str, guild_id: GuildScope) -> ApiToken:
    query = select(api_tokens).where(api_tokens.c.id == token_id, _belongs_to(guild_id))
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise TokenNotFoundError(token_id)
    return _token(row)


def _new_id() -> str:
    return "tok_" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))


async def _add_token(connection: LentConnection, token: ApiToken) -> str:
    """Keep a new token; returns its secret."""
    await connection.execute(insert(api_tokens), _columns(token))
    return await _add_secret(connection, token.id, token.created_at)


async def _add_secret(connection: LentConnection, token_id: str, now: datetime) -> str:
    secret = generate_secret()
    values = {"digest": digest(secret), "token_id": token_id, "created_at": now, "ends_at": None}
    await connection.execute(insert(token_secrets), values)
    return secret


async def _check_unrotated(connection: LentConnection, token_id: str, seen_at: datetime) -> None:
    query = select(func.count()).where(token_secrets.c.token_id == token_id, token_secrets.c.created_at > seen_at)
    if await connection.scalar(query):
        raise TokenRotatedError(token_id)


def _end_secrets(token_id: str, instant: datetime) -> Update:
    """End every secret of the token at an instant, but none later than it would have ended."""
    ends_at = token_secrets.c.ends_at
    return (
        update(token_secrets)
        .where(token_secrets.c.token_id == token_id, or_(ends_at.is_(None), ends_at > instant))
        .values(ends_at=instant)
    )


async def _check_room(connection: LentConnection, guild_id: int | None, limit: int, now: datetime) -> None:
    """Raise when the guild has its limit of active tokens. The caller holds the guard, so nobody adds one meanwhile."""
    query = select(func.count()).select_from(api_tokens).where(_belongs_to(guild_id), _is_active(now))
    if await connection.scalar(query) >= limit:
        raise TooManyTokensError(limit)


def _is_active(now: datetime) -> ColumnElement[bool]:
    return and_(
        api_tokens.c.revoked_at.is_(None), or_(api_tokens.c.expires_at.is_(None), api_tokens.c.expires_at > now)
    )


def _token(row: Row[Any]) -> ApiToken:
    # The table's columns come first in every query of a token; looking each up by its name takes four times as long.
    return ApiToken(**dict(zip(_TOKEN_COLUMNS, row, strict=False)))


def _columns(token: ApiToken) -> dict[str, Any]:
    return {column.name: getattr(token, column.name) for column in api_tokens.c}
