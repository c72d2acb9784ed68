"""The shape of one row of the route table, and what rows have in common."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp.typedefs import Handler
from pydantic import BaseModel

TEXT = "text/plain"
HTML = "text/html"
JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method and path. `errors` are the statuses beside 200 that the route answers.

    `stream` are the models of a stream's events, an error's aside, and `stream_type` its content type. `aliases` are
    further paths to the same handler. `marked_reply` and `marked_query` are what requests with another dialect's marker
    get and may ask (`Dialect.marker`).
    """

    method: str
    path: str
    handler: Handler
    summary: str
    tag: str
    aliases: Sequence[str] = ()
    body: type[BaseModel] | None = None
    reply: type[BaseModel] | None = None
    reply_type: str = JSON
    marked_reply: type[BaseModel] | None = None
    marked_query: type[BaseModel] | None = None
    stream: Sequence[type[BaseModel]] = ()
    stream_type: str = ""
    needs_token: bool = False
    errors: Sequence[int] = ()

    @property
    def paths(self) -> Sequence[str]:
        """Every path, the main one first."""
        return (self.path, *self.aliases)


AUTHENTICATED = (400, 401, 403, 500, 503)
"""What reading the headers and looking a caller up can answer; only a route that charges a call answers 429."""

GENERATING = (400, 401, 403, 404, 408, 413, 415, 429, 500, 503, 504)
