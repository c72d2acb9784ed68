"""How the pages refuse: as a page, in plain words, with the status a program would get.

Owns: the form of refusals below the pages' paths. Does not own: what is refused, or the words (`api/errors.py`).
"""

from aiohttp import web

from api.contract import ErrorReply
from api.dialect import NATIVE, Dialect
from api.errors import ApiError
from api.web.pages import HEADERS, render


class PageDialect(Dialect):
    """What a browser gets."""

    name = "Pages"
    prefixes = ("/tokens", "/usage", "/login", "/logout", "/static")
    error_reply = ErrorReply

    def error_body(self, error: ApiError, request_id: str) -> ErrorReply:
        """Say a refusal as the native dialect does."""
        return NATIVE.error_body(error, request_id)

    def render(self, error: ApiError, request_id: str) -> web.Response:
        """Render a refusal as a page."""
        body = render("error.html", error=error, request_id=request_id)
        headers = {**HEADERS, **error.headers, "Content-Type": "text/html; charset=utf-8"}
        return web.Response(status=error.status, text=None, body=body.encode(), headers=headers)


PAGES = PageDialect()
