"""What every page has: its template, its headers, its compression.

Owns: the Content-Security-Policy and the other headers that keep a page to itself. Does not own: any page's content.
"""

import gzip
from functools import cache
from importlib.resources import files
from typing import Any, Final

from aiohttp import hdrs, web
from jinja2 import Environment, FunctionLoader, StrictUndefined

from api.web.assets import load_assets

_POLICY: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    # Whatever becomes markup has gone through the sanitiser: the browser refuses a plain string there.
    "require-trusted-types-for": "'script'",
    "trusted-types": "dompurify",
}
CONTENT_SECURITY_POLICY: Final = "; ".join(f"{name} {value}" for name, value in _POLICY.items())

HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # A form's Origin header is "null" under no-referrer.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # The back button after a log-out asks the service again.
    "Cache-Control": "no-store",
    "Vary": "Accept-Encoding, Cookie",
}


@cache
def _environment() -> Environment:
    folder = files("api").joinpath("templates")
    environment = Environment(
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = load_assets().url
    return environment


def render(template: str, **values: Any) -> str:
    """Render a template to a whole page."""
    return _environment().get_template(template).render(page=template.removesuffix(".html"), **values)


def show(request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
    """Answer a page."""
    headers = {**HEADERS, "Content-Type": "text/html; charset=utf-8"}
    body = render(template, **values).encode()
    if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        body = gzip.compress(body, 6, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return web.Response(status=status, body=body, headers=headers)


def lead_to(location: str) -> web.Response:
    """Lead a browser elsewhere with a GET, after a form as well (RFC 9110 section 15.4.4)."""
    headers = {"Location": location, "Cache-Control": "no-store"}
    return web.Response(status=303, headers=headers)
