"""The pages' files: what is vendored, how it is sent and kept, and how much of it a first visit loads."""

import gzip
import re
from collections.abc import Mapping

import pytest

from api.web.assets import FOR_EVER, load_assets
from api.web.vendoring import LIBRARIES, VERSIONS, describe
from tests.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIRST_PAINT_BYTES = 100_000


async def fetch(service: Service, path: str, **headers: str) -> tuple[int, bytes, Mapping[str, str]]:
    """Fetch without undoing the compression."""
    asked = {"Accept-Encoding": "gzip", **headers}
    async with service.session.get(service.url + path, headers=asked, auto_decompress=False) as response:
        return response.status, await response.read(), response.headers


async def test_the_libraries_are_those_of_the_registry_and_have_their_licences() -> None:
    assert VERSIONS.read_text("utf-8") == describe(), "run: make vendor"
    for library in LIBRARIES:
        assert list((VERSIONS.parent / library.folder).glob("LICENSE*")), library.name


async def test_a_file_is_sent_compressed_and_kept_for_ever(service: Service) -> None:
    path = load_assets().url("page.css")
    status, body, headers = await fetch(service, path)
    assert (status, headers["Content-Encoding"], headers["Cache-Control"]) == (200, "gzip", FOR_EVER)
    assert headers["Content-Type"] == "text/css; charset=utf-8"
    again, nothing, _ = await fetch(service, path, **{"If-None-Match": headers["ETag"]})
    assert (again, nothing) == (304, b"")
    _, plain, _ = await fetch(service, path, **{"Accept-Encoding": "identity"})
    assert gzip.decompress(body) == plain


async def test_a_file_at_another_releases_address_is_not_kept(service: Service) -> None:
    status, _, headers = await fetch(service, "/static/000000000000/page.css")
    assert (status, headers["Cache-Control"]) == (200, "no-cache")


@pytest.mark.parametrize("name", ["nowhere.js", "../api/keys.py", "%2e%2e/keys.py", "vendor"])
async def test_nothing_else_is_served(service: Service, name: str) -> None:
    status, body, _ = await fetch(service, f"/static/x/{name}")
    assert status == 404
    assert b"class " not in body


async def test_a_first_visit_loads_less_than_100_kb(service: Service) -> None:
    _, page, _ = await fetch(service, "/")
    paths = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', gzip.decompress(page).decode()))
    todo, total = list(paths), len(page)
    while todo:
        path = todo.pop()
        _, body, headers = await fetch(service, path)
        total += len(body)
        if path.endswith(".js"):
            text = (gzip.decompress(body) if "Content-Encoding" in headers else body).decode()
            base = path.rsplit("/", 1)[0]
            found = {f"{base}/{name}" for name in re.findall(r'^import .*?"\./([^"]+)";$', text, re.MULTILINE)}
            todo += found - paths
            paths |= found
    assert len(paths) > 10
    assert total < FIRST_PAINT_BYTES, total
