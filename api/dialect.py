"""What a dialect is to everything that all dialects share: its error body, its credential, its headers, its words.

Owns: the shape, and finding the dialect of a request by its path. Does not own: any dialect (one module each), nor
which there are (`routes.py`).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar

from aiohttp import hdrs, web
from pydantic import BaseModel

from api.contract import ErrorReply
from api.errors import ApiError
from api.rate import RateState


class Dialect(ABC):
    """One family of routes. Its handlers parse to the common job and render the common events; the rest stands here."""

    name: ClassVar[str]
    """The heading of its routes in the documentation."""
    prefixes: ClassVar[Sequence[str]]
    """Paths below which a request is of this dialect, also one that no route takes. The longest decides."""
    marker: ClassVar[str] = ""
    """A header that only its clients send; with it, what lies below `marked_prefixes` is of this dialect, too."""
    marked_prefixes: ClassVar[Sequence[str]] = ()
    error_reply: ClassVar[type[BaseModel]]
    """The model of its error body, for the OpenAPI document."""
    field_names: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """What the native dialect calls `format`, `num_predict`, `messages`, … in this dialect's words, where different."""

    secret_schemes: ClassVar[Sequence[str]] = ("bearer", "bare")
    """Where it carries the token, by the names of the OpenAPI document's security schemes."""
    request_id_headers: ClassVar[Sequence[str]] = ("X-Request-Id",)
    """Where a reply says its request's id."""

    @abstractmethod
    def error_body(self, error: ApiError, request_id: str) -> BaseModel:
        """Say a refusal, its fields already in this dialect's words; also as the last event of a stream."""

    def error_status(self, error: ApiError) -> int:
        """Give the status a refusal has here."""
        return error.status

    def error_headers(self, error: ApiError) -> Mapping[str, str]:
        """Give the headers a refusal has here."""
        return error.headers

    def rate_headers(self, rate: RateState, now: datetime) -> Mapping[str, str]:  # noqa: ARG002 - for those that need it
        """Give this dialect's own rate-limit headers, beside those that every dialect sends."""
        return {}

    def read_secret(self, request: web.Request) -> str:
        """Take the API token out of the headers; empty where there is none."""
        return read_authorization(request)

    def say(self, error: ApiError, request_id: str) -> BaseModel:
        """Say a refusal in this dialect's words."""
        return self.error_body(error.renamed(self.field_names), request_id)

    def render(self, error: ApiError, request_id: str) -> web.Response:
        """Render a refusal as a reply."""
        body = self.say(error, request_id).model_dump_json(ensure_ascii=True)
        return web.json_response(text=body, status=self.error_status(error), headers=self.error_headers(error))


class NativeDialect(Dialect):
    """Parley's own, and that of every path of no other dialect."""

    name = "Native"
    prefixes = ("/",)
    error_reply = ErrorReply

    def error_body(self, error: ApiError, request_id: str) -> ErrorReply:
        """Say a refusal with its title, its advice and every bad field."""
        return ErrorReply(
            error=error.title,
            code=error.status,
            message=error.message,
            request_id=request_id,
            details=error.details,
        )


NATIVE = NativeDialect()


class Dialects:
    """All dialects of a service; the native one takes what is left."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        pairs = [(_with_slash(prefix), dialect) for dialect in (*dialects, NATIVE) for prefix in dialect.prefixes]
        self._by_prefix = sorted(pairs, key=lambda pair: len(pair[0]), reverse=True)
        self._marked = [(_with_slash(prefix), dialect) for dialect in dialects for prefix in dialect.marked_prefixes]

    def of(self, request: web.Request) -> Dialect:
        """Find the dialect of a request, whether or not there is such a route."""
        other = self.find_marked(request.path)
        return other if other is not None and other.marker in request.headers else self.find(request.path)

    def find(self, path: str) -> Dialect:
        """Find the dialect of a path, for requests without another one's marker; `OPTIONS *` has no path at all."""
        below = _with_slash(path)
        return next((dialect for prefix, dialect in self._by_prefix if below.startswith(prefix)), NATIVE)

    def find_marked(self, path: str) -> Dialect | None:
        """Find the dialect that has a path, too, for requests with its marker."""
        below = _with_slash(path)
        return next((dialect for prefix, dialect in self._marked if below.startswith(prefix)), None)


def _with_slash(path: str) -> str:
    """End a path in a slash: then it is below a prefix, or the same, when it begins like it."""
    return path.rstrip("/") + "/"


def read_authorization(request: web.Request) -> str:
    """Take the token out of both forms: bare, or after `Bearer` in any case (RFC 9110 section 11.1)."""
    header = request.headers.get(hdrs.AUTHORIZATION, "").strip()
    scheme, _, rest = header.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else header
