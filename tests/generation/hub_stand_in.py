"""A stand-in for the Hugging Face Hub on loopback: one repository, with the headers that a download needs."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubStandIn(ThreadingHTTPServer):
    """Serves `files` of the repository `owner/repo`; remembers what was asked of it.

    `breaks_at` cuts the connection at that byte of a file; `status` answers everything with an error; `redirects_to` is
    where file contents are, as the real Hub has them; `says_digest` is a wrong digest to claim.
    """

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.requests: list[tuple[str, str, str | None]] = []
        self.authorizations: list[str | None] = []
        self.breaks_at: int | None = None
        self.redirects_to: str | None = None
        self.says_digest: str | None = None
        self.status: tuple[int, str | None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about connections that tests break on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server: HubStandIn
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Keep the test's output clean."""

    def _answer(self, *, with_body: bool) -> None:
        self.server.requests.append((self.command, self.path, self.headers.get("Range")))
        self.server.authorizations.append(self.headers.get("Authorization"))
        repository, _, name = self.path.partition("/resolve/main/")
        if self.server.status is not None:
            self._refuse(*self.server.status)
        elif repository != "/owner/repo":
            self._refuse(404, "RepoNotFound")
        elif name not in self.server.files:
            self._refuse(404, "EntryNotFound")
        else:
            self._send(self.server.files[name], with_body=with_body)

    def _refuse(self, status: int, code: str | None) -> None:
        self.send_response(status)
        if code is not None:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, data: bytes, *, with_body: bool) -> None:
        digest = self.server.says_digest or hashlib.sha256(data).hexdigest()
        if self.server.redirects_to is not None:
            self._redirect(self.server.redirects_to + self.path, digest, len(data))
            return
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("ETag", f'"{digest}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if with_body:
            self.wfile.write(data[start : self.server.breaks_at])
            self.close_connection = self.server.breaks_at is not None

    def _redirect(self, location: str, digest: str, size_bytes: int) -> None:
        self.send_response(302)
        self.send_header("Location", location)
        self.send_header("X-Linked-Etag", f'"{digest}"')
        self.send_header("X-Linked-Size", str(size_bytes))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def running_hub(files: dict[str, bytes]) -> Iterator[HubStandIn]:
    """Serve until the block is left."""
    hub = HubStandIn(files)
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()
