"""Routes for the person who hosts it: health, readiness, metrics, the OpenAPI document and its page."""

import re
from importlib.resources import files
from typing import Any

from aiohttp import web
from jinja2 import Environment, select_autoescape
from markupsafe import Markup, escape

from api import keys
from api.contract import Health
from api.examples.catalogue import LANGUAGES, TOKEN_VARIABLE
from api.examples.page import show_examples
from api.readiness import judge

PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"


async def healthz(request: web.Request) -> web.Response:  # noqa: ARG001 - every handler takes the request
    """Answer 200 while the process lives."""
    return web.json_response(text=Health(status="ok").model_dump_json())


async def readyz(request: web.Request) -> web.Response:
    """Answer 200 when the model answers, also when something is amiss, else 503; each but the first with the reason."""
    health = await judge(request.app)
    if health.status == "unavailable":
        return web.json_response(text=health.model_dump_json(), status=503, headers={"Retry-After": "5"})
    return web.json_response(text=health.model_dump_json())


async def metrics(request: web.Request) -> web.Response:
    """Answer the Prometheus text format."""
    body = request.app[keys.METRICS].exposition()
    return web.Response(body=body, headers={"Content-Type": PROMETHEUS_CONTENT_TYPE})


async def openapi(request: web.Request) -> web.Response:
    """Answer the OpenAPI document."""
    return web.json_response(request.app[keys.DOCUMENT])


async def docs(request: web.Request) -> web.Response:
    """Answer the documentation page."""
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    return web.Response(text=request.app[keys.PAGE], content_type="text/html", headers=headers)


def render_page(document: dict[str, Any], *, address: str, model: str) -> str:
    """Render the OpenAPI document as a page, with examples that ask this model at this address."""
    environment = Environment(autoescape=select_autoescape(default=True))
    environment.filters["code"] = _mark_code
    template = environment.from_string(files("api").joinpath("templates/docs.html").read_text("utf-8"))
    return template.render(
        document=document,
        languages=LANGUAGES,
        token_variable=TOKEN_VARIABLE,
        shelves=show_examples(address, model),
    )


def _mark_code(text: str) -> Markup:
    """Show what stands between backticks as code; everything is escaped first."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped above


async def style(request: web.Request) -> web.Response:  # noqa: ARG001 - every handler takes the request
    """Answer the documentation page's style sheet."""
    sheet = files("api").joinpath("templates/docs.css").read_text("utf-8")
    return web.Response(text=sheet, content_type="text/css", headers={"Cache-Control": "max-age=3600"})
