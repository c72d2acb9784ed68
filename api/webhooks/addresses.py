"""Where a webhook may go: which addresses people may name, and which machines a name may stand for.

Owns: the two checks, of the text and of the resolved address. Does not own: resolving and connecting (`transport.py`).
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from yarl import URL

MAX_URL_LENGTH = 2_048

PUBLIC_PORTS = frozenset({443, 8443})
"""What public https receivers listen on; anything else is more often a way to something that is no receiver."""

_CHARACTERS = re.compile(r"[!-\[\]-~\u00a1-\U0010ffff]+")
"""No white space, no control characters, no backslash, which browsers read as a slash."""

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)

_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
"""A last label like this makes a host an IPv4 address in one of its odd forms (WHATWG URL, "ends in a number")."""

_SPECIAL_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home.arpa", "invalid", "test", "onion", "alt")
"""Names that no public receiver has (RFC 6761, RFC 6762, RFC 7686, RFC 8375, RFC 9476, ICANN's `internal`)."""

Address = IPv4Address | IPv6Address

_FORBIDDEN_V4 = tuple(
    IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        # Azure's host, which answers its guests on a public address.
        "168.63.129.16/32",
    )
)
"""https://www.iana.org/assignments/iana-ipv4-special-registry, multicast, and what clouds answer their guests on."""

_PUBLIC_V6 = IPv6Network("2000::/3")
_FORBIDDEN_V6 = tuple(
    IPv6Network(text)
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "3ffe::/16")
)
"""https://www.iana.org/assignments/iana-ipv6-special-registry: of the rest, only 2000::/3 is given to anybody. Teredo
is part of 2001::/23; 6to4 carries an IPv4 address in 2002::/16."""

_NAT64 = IPv6Network("64:ff9b::/96")
_MAPPED = IPv6Network("::ffff:0:0/96")
"""Prefixes before an IPv4 address (RFC 6052, RFC 4291 section 2.5.5.2), which is what one reaches."""


class AddressRefusedError(Exception):
    """A webhook may not go there; `problem` says what is wrong with the address, in words for its author."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def check_url(text: str, *, allows_private: bool) -> URL:
    """Check the address that a caller names; raises `AddressRefusedError`.

    `allows_private` is the operator's word that http, any port and private machines are all right. What a name stands
    for is checked when it is resolved, each time anew.
    """
    url = _parse(text)
    host = url.raw_host
    if not host:
        raise AddressRefusedError("name a host, for example https://example.org/hook")
    if "@" in re.split(r"[/?#]", text.partition("//")[2], maxsplit=1)[0]:
        raise AddressRefusedError("leave user name and password out of the address")
    if allows_private:
        return url
    if url.scheme != "https":
        raise AddressRefusedError("use https")
    if url.port not in PUBLIC_PORTS:
        raise AddressRefusedError("use port 443 or 8443")
    _check_host(host)
    return url


def _parse(text: str) -> URL:
    if len(text) > MAX_URL_LENGTH:
        raise AddressRefusedError(f"use an address of at most {MAX_URL_LENGTH} characters")
    try:
        if not _CHARACTERS.fullmatch(text):
            raise ValueError
        url = URL(text)
        if url.scheme not in ("http", "https") or url.port is None:
            raise ValueError
    except ValueError:
        raise AddressRefusedError("is no address; write it like https://example.org/hook") from None
    return url.with_fragment(None)


def _check_host(host: str) -> None:
    try:
        address = ip_address(host)
    except ValueError:
        _check_name(host)
    else:
        check_address(address)


def _check_name(name: str) -> None:
    labels = name.split(".")
    if not all(map(_LABEL.fullmatch, labels)) or _NUMBER.fullmatch(labels[-1]):
        raise AddressRefusedError("name the host in its plain form, for example https://example.org/hook")
    folded = name.lower()
    if len(labels) < 2 or any(folded == each or folded.endswith(f".{each}") for each in _SPECIAL_NAMES):
        raise AddressRefusedError("name a host that is public")


def check_address(address: Address) -> None:
    """Check the machine that would be reached; raises `AddressRefusedError` unless anybody on the Internet can."""
    reached = _unwrap(address)
    if isinstance(reached, IPv4Address):
        is_public = not any(reached in network for network in _FORBIDDEN_V4)
    else:
        is_public = (
            reached.scope_id is None
            and reached in _PUBLIC_V6
            and not any(reached in network for network in _FORBIDDEN_V6)
        )
    # The library's own view comes on top: it may know what has been reserved since.
    if not is_public or not reached.is_global or reached.is_multicast or reached.is_reserved:
        raise AddressRefusedError("name a host that is public")


def _unwrap(address: Address) -> Address:
    """Take the IPv4 address out of an IPv6 one that only carries it."""
    if isinstance(address, IPv6Address) and (address in _NAT64 or address in _MAPPED):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def check_reached(text: str) -> None:
    """Check an address as a socket has it, the scope of an IPv6 one included; raises `AddressRefusedError`."""
    try:
        address = ip_address(text)
    except ValueError:
        raise AddressRefusedError("name a host that is public") from None
    check_address(address)
