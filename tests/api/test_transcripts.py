"""Signed addresses open what they name, for a day, and no other text opens anything."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.transcripts import LIFETIME, AddressUnknownError, Signer

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SIGNER = Signer(key=b"k" * 32, purpose="transcript")


@given(st.text(st.characters(codec="utf-8"), max_size=80), st.floats(0, 86_399))
def test_an_address_opens_what_it_names_for_a_day(name: str, seconds: float) -> None:
    address = SIGNER.sign(name, now=NOW)
    assert SIGNER.read(address, now=NOW + timedelta(seconds=seconds)) == name
    with pytest.raises(AddressUnknownError):
        SIGNER.read(address, now=NOW + LIFETIME)


@given(st.data())
def test_an_address_with_any_other_letter_opens_nothing(data: st.DataObject) -> None:
    address = SIGNER.sign("chat_a 7", now=NOW)
    at = data.draw(st.integers(0, len(address) - 1))
    letter = data.draw(st.sampled_from("ABab01-_=+/ .é").filter(lambda each: each != address[at]))
    for other in (address[:at] + letter + address[at + 1 :], address[:at] + address[at + 1 :], address + letter):
        with pytest.raises(AddressUnknownError):
            SIGNER.read(other, now=NOW)


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,120}", fullmatch=True))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(AddressUnknownError):
        SIGNER.read(text, now=NOW)


def test_another_key_or_purpose_opens_nothing() -> None:
    address = SIGNER.sign("chat_a 7", now=NOW)
    for other in (Signer(key=b"x" * 32, purpose="transcript"), Signer(key=b"k" * 32, purpose="fetch")):
        with pytest.raises(AddressUnknownError):
            other.read(address, now=NOW)
