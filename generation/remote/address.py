"""The addresses of the servers, as `PARLEY_ENGINE_URL` lists them.

Owns: what counts as an address, and where a server's own routes begin. Does not own: whether anybody answers there.
"""

from dataclasses import dataclass

from yarl import URL

MOST_REPLICAS = 32
"""Each has connections, a health check and a row in the metrics; beyond that a load balancer belongs in between."""

_API = "/v1"


@dataclass(frozen=True, slots=True)
class Address:
    """Where one server is. `number` is its place in the list, from 1; `root` ends without a slash.

    `root` is the base address without OpenAI's `/v1`: llama-server and vLLM have routes of their own beside that.
    """

    number: int
    root: str

    def __str__(self) -> str:
        return f"engine server {self.number} ({self.root})"


def read_addresses(value: str) -> tuple[Address, ...]:
    """Read `URL[,URL]`; raises `ValueError` with the end of a sentence about the setting."""
    roots = [_read_root(entry.strip()) for entry in value.split(",") if entry.strip()]
    if not roots:
        raise ValueError("is empty; write it like http://127.0.0.1:8000/v1")
    if len(set(roots)) < len(roots):
        raise ValueError("has an address twice; write each server once")
    if len(roots) > MOST_REPLICAS:
        raise ValueError(f"has more than {MOST_REPLICAS} addresses; put a load balancer before the servers")
    return tuple(Address(number, root) for number, root in enumerate(roots, 1))


def _read_root(entry: str) -> str:
    try:
        url = URL(entry)
        port = url.port
    except ValueError:
        raise ValueError("has an entry that is no address; write it like http://127.0.0.1:8000/v1") from None
    if url.scheme not in {"http", "https"} or not url.host or port is None or any(map(str.isspace, entry)):
        raise ValueError("has an entry that is no address; write it like http://127.0.0.1:8000/v1")
    if url.user or url.password:
        raise ValueError("has a name or password in it; use PARLEY_ENGINE_API_KEY")
    if url.query_string or url.fragment:
        raise ValueError("has something behind its path; write it like http://127.0.0.1:8000/v1")
    return str(url).rstrip("/").removesuffix(_API).rstrip("/")
