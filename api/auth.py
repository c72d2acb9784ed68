"""Who is calling: API tokens, and the service token that acts for a Discord server.

Owns: telling unknown, revoked and expired tokens apart. Does not own: where a dialect carries the token
(`dialect.py`), what a caller may still use today (`allowance.py`), or how tokens are kept (`storage/tokens.py`).
"""

import hmac
import re
from dataclasses import dataclass

from aiohttp import web

from api.contract import (
    CONVERSATION_HEADER,
    CONVERSATION_PATTERN,
    ON_BEHALF_OF_HEADER,
    PERSON_HEADER,
    PERSON_PATTERN,
    TENANT_PATTERN,
)
from api.errors import forbidden, invalid_field, unauthorized
from storage.errors import TokenExpiredError, TokenRevokedError, TokenUnknownError
from storage.tokens import TokenStore

_SERVICE_HEADERS = (ON_BEHALF_OF_HEADER, PERSON_HEADER, CONVERSATION_HEADER)

NO_TOKEN = "Send your API token in the Authorization header: Authorization: Bearer <API token>."  # noqa: S105 - advice


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever a request is charged to.

    `tenant_id` is an API token's id or `discord:…`; `daily_calls` the calls per day; `llm_balance` the LLM tokens left
    or None where none are counted. `person_id` is the Discord user who asks, None where nobody was named.
    `is_service` says that the service token was sent; `conversation` is the name it gave for what is computed.
    """

    tenant_id: str
    name: str
    daily_calls: int
    llm_balance: int | None = None
    mature: bool = False
    person_id: int | None = None
    is_service: bool = False
    conversation: str | None = None


class Authenticator:
    """Turns the headers of a request into a `Caller`."""

    def __init__(self, tokens: TokenStore, *, service_token: str, daily_calls: int) -> None:
        self._tokens = tokens
        self._service_token = service_token.encode()
        self._daily_calls = daily_calls

    async def authenticate(self, request: web.Request, secret: str) -> Caller:
        """Find the caller by the token that the request carries; raises the 401 that says what is wrong with it."""
        if hmac.compare_digest(secret.encode("utf-8", "surrogateescape"), self._service_token):
            return self._on_behalf_of(*(request.headers.get(header) for header in _SERVICE_HEADERS))
        for header in _SERVICE_HEADERS:
            if header in request.headers:
                raise forbidden(f"Only the service token may send {header}; leave it out.")
        return await self._token_holder(secret)

    def _on_behalf_of(self, tenant: str | None, person: str | None, conversation: str | None) -> Caller:
        if tenant is None or not re.fullmatch(TENANT_PATTERN, tenant):
            raise invalid_field(ON_BEHALF_OF_HEADER, "name whom to charge: discord:<server id> or discord:dm:<user id>")
        if person is not None and not re.fullmatch(PERSON_PATTERN, person):
            raise invalid_field(PERSON_HEADER, "give the Discord id of the person who asks, 1 to 20 digits")
        if conversation is not None and not re.fullmatch(CONVERSATION_PATTERN, conversation):
            raise invalid_field(CONVERSATION_HEADER, "give the conversation's name, 32 hexadecimal digits")
        return Caller(
            tenant_id=tenant,
            name=tenant,
            daily_calls=self._daily_calls,
            person_id=None if person is None else int(person),
            is_service=True,
            conversation=conversation,
        )

    async def _token_holder(self, secret: str) -> Caller:
        if not secret:
            raise unauthorized(NO_TOKEN)
        try:
            token = await self._tokens.find(secret)
        except TokenUnknownError:
            raise unauthorized("This API token is unknown; check that it was copied whole.") from None
        except TokenRevokedError:
            raise unauthorized("This API token was revoked or rotated; ask for a new one.") from None
        except TokenExpiredError:
            raise unauthorized("This API token has expired; ask for a new one.") from None
        return Caller(
            tenant_id=token.id,
            name=token.name,
            daily_calls=token.daily_calls,
            llm_balance=token.llm_balance,
            mature=token.mature,
        )
