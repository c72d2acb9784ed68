"""Which server a conversation goes to: the same one every time, as long as that is there and has room.

Rendezvous hashing (Thaler and Ravishankar, 1998): each server has a rank for each conversation that depends on the two
alone. Where one leaves, only its own conversations move, each to its second choice, and they come back with it.

Owns: the order. Does not own: who is there and who has room (`pool.py`).
"""

import hashlib
from collections.abc import Iterable

from generation.remote.address import Address


def rank(key: bytes, addresses: Iterable[Address]) -> list[Address]:
    """Put servers in the order in which a conversation wants them."""
    return sorted(addresses, key=lambda address: _weigh(key, address), reverse=True)


def _weigh(key: bytes, address: Address) -> bytes:
    # The address and not its place in the list, so that the list can change without moving everybody.
    return hashlib.blake2b(address.root.encode(), key=key[:64], digest_size=8).digest()
