"""Transcripts and awaited replies at addresses that prove themselves: signed, and good for a day.

Owns: the addresses. Whoever has one may read what it names; nothing else is to be found, and nothing is listed. Does
not own: what is read there (`api/modelslab.py`).
"""

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta

LIFETIME = timedelta(days=1)

_MAC_BYTES = 24
_EXPIRY = struct.Struct(">Q")


class AddressUnknownError(Exception):
    """Nothing is at this address, or not any more; which of them is not said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Makes and reads the signed last part of addresses. `purpose` keeps addresses of one kind from opening another."""

    key: bytes
    purpose: str

    def sign(self, name: str, *, now: datetime) -> str:
        """Return the part of an address that names something for a day: URL-safe, about as long as the name plus 50."""
        payload = _EXPIRY.pack(int((now + LIFETIME).timestamp())) + name.encode()
        return self._spell(payload)

    def read(self, text: str, *, now: datetime) -> str:
        """Return the name; raises `AddressUnknownError` for anything but an address of ours that is still good."""
        try:
            signed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise AddressUnknownError from None
        mac, payload = signed[:_MAC_BYTES], signed[_MAC_BYTES:]
        # Compared first and in constant time: nothing of the rest is looked at before it is known to be ours.
        if not hmac.compare_digest(mac, self._mac(payload)) or self._spell(payload) != text:
            raise AddressUnknownError
        (expires_at,) = _EXPIRY.unpack_from(payload)
        if now.timestamp() >= expires_at:
            raise AddressUnknownError
        return payload[_EXPIRY.size :].decode()

    def _spell(self, payload: bytes) -> str:
        # One spelling only: base64 leaves a few bits of its last letter open.
        return base64.urlsafe_b64encode(self._mac(payload) + payload).decode().rstrip("=")

    def _mac(self, payload: bytes) -> bytes:
        return hmac.new(self.key, self.purpose.encode() + b"\0" + payload, hashlib.sha256).digest()[:_MAC_BYTES]
