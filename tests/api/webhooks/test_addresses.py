"""Webhooks go to public https receivers, however the way to another machine is written."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.webhooks.addresses import AddressRefusedError, check_address, check_reached, check_url

PUBLIC = ("93.184.215.14", "1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e")

PRIVATE = (
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    *("224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.7"),
    *("::1", "::", "fe80::1", "fe80::1%1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "100::1"),
    # IPv4 inside of IPv6: mapped, compatible, NAT64 (also a local one), 6to4, Teredo.
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:7f00:1", "::127.0.0.1", "64:ff9b::7f00:1"),
    *("64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:7f00:1::"),
)


@pytest.mark.parametrize("text", PUBLIC)
def test_public_machines_are_reached(text: str) -> None:
    check_reached(text)
    host = f"[{text}]" if ":" in text else text
    assert check_url(f"https://{host}/hook", allows_private=False).path == "/hook"


@pytest.mark.parametrize("text", PRIVATE)
def test_no_other_machine_is_reached(text: str) -> None:
    with pytest.raises(AddressRefusedError):
        check_reached(text)
    host = f"[{text}]" if ":" in text else text
    with pytest.raises(AddressRefusedError):
        check_url(f"https://{host}/hook", allows_private=False)


def test_a_public_machine_behind_nat64_is_reached() -> None:
    check_reached("64:ff9b::8.8.8.8")


@given(st.ip_addresses())
def test_what_the_library_calls_private_is_never_reached(address: IPv4Address | IPv6Address) -> None:
    if not address.is_global or address.is_multicast or address.is_loopback or address.is_link_local:
        with pytest.raises(AddressRefusedError):
            check_address(address)


@given(st.ip_addresses(v=4))
def test_an_ipv4_machine_is_as_reachable_by_its_ipv6_forms(address: IPv4Address | IPv6Address) -> None:
    outcomes = set()
    for text in (str(address), f"::ffff:{address}", f"64:ff9b::{address}"):
        try:
            check_address(ip_address(text))
            outcomes.add(True)
        except AddressRefusedError:
            outcomes.add(False)
    assert len(outcomes) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "https://example.org/hook?a=b",
        "https://hooks.example.org:8443/x",
        "HTTPS://Example.ORG/",
        "https://bücher.example.org/",
        "https://xn--bcher-kva.example.org/",
        "https://_x.example.org/",
    ],
)
def test_public_addresses_are_taken(url: str) -> None:
    assert check_url(url, allows_private=False).scheme == "https"


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://example.org/",
            "ftp://example.org/",
            "//example.org/",
            "/hook",
            "example.org",
            "",
            "https:",
            "https://",
        ),
        *("https://example.org:80/", "https://example.org:22/", "https://example.org:6379/", "https://example.org:0/"),
        *(
            "https://user@example.org/",
            "https://user:pass@example.org/",
            "https://@example.org/",
            "https://:@example.org/",
        ),
        *(
            "https://example.org\\@127.0.0.1/",
            "https://example.org /",
            "https://example.org/\r\nX: y",
            "https://ex\tample.org",
        ),
        # IPv4 in decimal, octal, hexadecimal, short, and with a dot at its end.
        *("https://2130706433/", "https://0177.0.0.1/", "https://0x7f.0.0.1/", "https://0x7f000001/", "https://127.1/"),
        *("https://127.0.0.1./", "https://127.0.1/", "https://017700000001/", "https://1.1.1.1.1/", "https://0x7f.1/"),
        *("https://①②⑦.⓪.⓪.①/", "https://127。0。0。1/", "https://[::ffff:127.0.0.1]/", "https://[fe80::1%25eth0]/"),
        *(
            "https://localhost/",
            "https://localhost./",
            "https://a.localhost/",
            "https://intranet/",
            "https://db.internal/",
        ),
        *(
            "https://metadata.google.internal/",
            "https://printer.local/",
            "https://router.lan/",
            "https://example.org./",
        ),
        *(
            "https://example..org/",
            "https://-x.example.org/",
            "https://[::1/",
            "https://exa%6dple.org/",
            "https://a.onion/",
        ),
        "https://example.org/" + "a" * 2048,
    ],
)
def test_other_addresses_are_refused_with_words(url: str) -> None:
    with pytest.raises(AddressRefusedError) as caught:
        check_url(url, allows_private=False)
    assert caught.value.problem


@given(st.text(max_size=60) | st.from_regex(r"https?://[^\s]{1,40}", fullmatch=True))
def test_any_text_is_taken_or_refused_and_nothing_else(text: str) -> None:
    for allows_private in (False, True):
        try:
            url = check_url(text, allows_private=allows_private)
        except AddressRefusedError:
            continue
        assert url.raw_host
        assert url.raw_user is None
        assert not url.raw_fragment


def test_the_operators_setting_allows_http_and_private_machines_but_no_credentials() -> None:
    assert check_url("http://127.0.0.1:9000/hook", allows_private=True).port == 9000
    assert check_url("http://receiver/hook", allows_private=True).host == "receiver"
    for url in ("http://me:secret@receiver/hook", "ftp://receiver/hook", "receiver"):
        with pytest.raises(AddressRefusedError):
            check_url(url, allows_private=True)
