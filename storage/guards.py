"""What a writer asks to have to itself, where several processes write to one database.

SQLite has one writer at a time, so nobody needs to ask there. PostgreSQL has as many as come; whoever counts before it
adds, or reads before it replaces, names here what must stand still meanwhile (`Database.writing`).
"""

from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Guard:
    """One thing of a domain, or the whole domain (`key` None), until the transaction ends.

    Writers of different things go side by side; the writer of the whole domain waits for all of them, and they for it.
    """

    domain: str
    key: str | int | None = None

    @property
    def domain_id(self) -> int:
        """A number of 64 bits for the domain."""
        return _number(self.domain)

    @property
    def key_id(self) -> int:
        """A number of 64 bits for the thing. Two that share one by chance only wait for each other."""
        return _number(f"{self.domain}\0{self.key}")


def _number(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
