"""Routes for the person who hosts it: health, readiness, metrics, the OpenAPI document and its page."""

from importlib.resources import files

from aiohttp import web

from api import keys
from api.contract import Health
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
    return web.json_response(text=await request.app[keys.DOCUMENTATION].document())


async def docs(request: web.Request) -> web.Response:
    """Answer the documentation page."""
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    page = await request.app[keys.DOCUMENTATION].page()
    return web.Response(text=page, content_type="text/html", headers=headers)


async def style(request: web.Request) -> web.Response:  # noqa: ARG001 - every handler takes the request
    """Answer the documentation page's style sheet."""
    sheet = files("api").joinpath("templates/docs.css").read_text("utf-8")
    return web.Response(text=sheet, content_type="text/css", headers={"Cache-Control": "max-age=3600"})
