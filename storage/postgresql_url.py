"""What the URL of a PostgreSQL says, in the forms that hosts hand out.

Its password may hold anything and is never repeated, nor is anything of a URL that cannot be read. Does not own:
connecting (`postgresql.py`).
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from storage.errors import StorageError

# libpq's options that its users write into URLs and that concern nobody here.
_IGNORED_OPTIONS = frozenset(
    {"connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "gssencmode"}
    | {"sslcompression", "fallback_application_name", "pgbouncer", "client_encoding"}
)

_SCHEMES = ("postgres", "postgresql")

_EXAMPLE = "postgres://user:password@host:5432/name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a PostgreSQL is. `label` says it to people, without the password."""

    dsn: str = field(repr=False)
    label: str
    tls: ssl.SSLContext | None


def is_postgresql(url: str) -> bool:
    """Say whether a URL names a PostgreSQL, with or without a driver in its scheme (`postgresql+asyncpg://`)."""
    return url.partition(":")[0].lower().partition("+")[0] in _SCHEMES


def parse_url(url: str) -> Address:
    """Read what platforms hand out: `postgres://`, `postgresql://`, `postgresql+driver://`, with libpq's options.

    Raises `StorageError`, which repeats nothing of a URL that cannot be read: its password may be anywhere.
    """
    try:
        parsed = urlsplit(url)
        # Looked at for their errors.
        _ = parsed.hostname, parsed.netloc.count("@") > 1 or "," in parsed.netloc or parsed.port
        options = dict(parse_qsl(parsed.query, strict_parsing=True)) if parsed.query else {}
    except ValueError:
        raise StorageError(f"DATABASE_URL: cannot be read; write it like {_EXAMPLE}") from None
    if parsed.netloc.count("@") > 1 or "@" in parsed.path or parsed.fragment or "\0" in url or re.search(r"\s", url):
        raise StorageError(
            "DATABASE_URL: write @ as %40, / as %2F, # as %23 and a blank as %20 in the user's name and the password"
        )
    if not parsed.path.strip("/") and "dbname" not in options:
        raise StorageError(f"DATABASE_URL: names no database; write it like {_EXAMPLE}")
    tls = _check_options(options)
    kept = {name: value for name, value in options.items() if name not in _IGNORED_OPTIONS | {"channel_binding"}}
    rest = f"{parsed.netloc}{parsed.path}" + (f"?{urlencode(kept)}" if kept else "")
    return Address(dsn=f"postgresql://{rest}", label=_label(parsed.netloc, parsed.path, kept), tls=tls)


def _check_options(options: Mapping[str, str]) -> ssl.SSLContext | None:
    """Refuse what cannot be; return a context where the driver has another way to what is asked for."""
    if options.get("sslmode", "prefer") not in _TLS_MODES:
        raise StorageError(f"DATABASE_URL: there is no such sslmode; use one of {', '.join(_TLS_MODES)}")
    if options.get("channel_binding") == "require" and options.get("sslmode") not in ("verify-ca", "verify-full"):
        # The driver knows no channel binding. What that is for, that nobody stands in between, certificates do as well.
        return ssl.create_default_context()
    return None


_TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def _label(netloc: str, path: str, options: Mapping[str, str]) -> str:
    account, _, place = netloc.rpartition("@")
    user = unquote(account.partition(":")[0]) or options.get("user", "")
    host = unquote(place) or options.get("host", "") or "(local socket)"
    name = unquote(path.strip("/")) or options["dbname"]
    return f"postgresql://{user + '@' if user else ''}{host}/{name}"
