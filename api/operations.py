"""Routes for the person who hosts it: health, readiness, metrics, the OpenAPI document and its page."""

import re
from importlib.resources import files
from typing import Any

from aiohttp import web
from jinja2 import Environment, select_autoescape
from markupsafe import Markup, escape

from api import keys
from api.contract import Health
from generation.engine import EngineState

PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"


async def healthz(request: web.Request) -> web.Response:  # noqa: ARG001 - every handler takes the request
    """Answer 200 while the process lives."""
    return web.json_response(text=Health(status="ok").model_dump_json())


async def readyz(request: web.Request) -> web.Response:
    """Answer 200 when the model answers and the database takes writes, else 503 with the reason."""
    reason = await _why_not(request.app)
    if reason is None:
        return web.json_response(text=Health(status="ok").model_dump_json())
    body = Health(status="unavailable", reason=reason)
    return web.json_response(text=body.model_dump_json(), status=503, headers={"Retry-After": "5"})


async def _why_not(app: web.Application) -> str | None:
    if app[keys.DRAINING].is_stopping:
        return "the service is stopping"
    status = app[keys.ENGINE].status
    if status.state is not EngineState.READY:
        return status.reason or f"the engine is {status.state.value}"
    if not await app[keys.HEALTH].takes_writes():
        return "the database takes no writes, the log says why"
    return None


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


def render_page(document: dict[str, Any]) -> str:
    """Render the OpenAPI document as a page."""
    environment = Environment(autoescape=select_autoescape(default=True))
    environment.filters["code"] = _mark_code
    template = environment.from_string(files("api").joinpath("templates/docs.html").read_text("utf-8"))
    return template.render(document=document)


def _mark_code(text: str) -> Markup:
    """Show what stands between backticks as code; everything is escaped first."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped above


async def style(request: web.Request) -> web.Response:  # noqa: ARG001 - every handler takes the request
    """Answer the documentation page's style sheet."""
    sheet = files("api").joinpath("templates/docs.css").read_text("utf-8")
    return web.Response(text=sheet, content_type="text/css", headers={"Cache-Control": "max-age=3600"})


async def front(request: web.Request) -> web.Response:  # noqa: ARG001 - every handler takes the request
    """Lead a browser to the documentation."""
    raise web.HTTPFound("/docs")
