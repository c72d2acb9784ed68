"""PostgreSQL: how a connection to it is set up, and what its errors mean to an operator.

Owns: everything that only PostgreSQL, or its driver, would understand. Does not own: what a URL says
(`postgresql_url.py`), transactions (`postgresql_transactions.py`).
"""

import ssl
from socket import gaierror
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from storage.errors import DatabaseBusyError, DatabaseLostError, StorageError
from storage.postgresql_url import Address

OLDEST_VERSION = 13
"""The first with `pg_current_xact_id`, by which a commit whose answer was lost is looked up."""

# A connection that died without a word leaves its transaction, and its locks, to the server; seconds.
_IDLE_TRANSACTION_SECONDS = 15

# How many times as long as for a lock one waits for a statement. The driver gives up later than the server, so that
# the server's answer, which frees the connection, is seen; without any, the server or the network stands still.
_STATEMENT_TIMEOUTS = 2.0
_DRIVER_GRACE_SECONDS = 2.0

# Below that a machine that is only busy would be taken for one that stands still; seconds.
_SHORTEST_SECONDS = 1.0

# PostgreSQL keeps no NUL (https://www.postgresql.org/docs/current/datatype-character.html), and a text that holds one
# shall still be kept as it is. So it is written as two characters of which the first, for private use, says that the
# second stands for another one.
_ESCAPE = "\ue0f0"
_ESCAPED_NUL, _ESCAPED_ESCAPE = _ESCAPE + "0", _ESCAPE + "1"


def create_engine(address: Address, *, connections: int, busy_timeout_seconds: float) -> AsyncEngine:
    """Return an engine of so many connections, made as they are needed.

    A connection that is known to be gone is replaced when it is taken out, without asking the server each time.
    """

    async def connect() -> "asyncpg.Connection[Any]":
        patience = _statement_seconds(busy_timeout_seconds) + _DRIVER_GRACE_SECONDS
        return await _connect(address, busy_timeout_seconds, command_timeout=patience)

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=_statement_seconds(busy_timeout_seconds),
        # What people wrote must not reach a log through an exception.
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "checkout")
    def _is_alive(connection: DBAPIConnection, _entry: ConnectionPoolEntry, _proxy: object) -> None:
        driver = connection.driver_connection
        if driver.is_closed():
            raise DisconnectionError

    return engine


def create_patient_engine(address: Address, *, busy_timeout_seconds: float) -> AsyncEngine:
    """Return an engine for what may take as long as it takes, such as migrations; its connections are not kept."""

    async def connect() -> "asyncpg.Connection[Any]":
        connection = await _connect(address, busy_timeout_seconds, command_timeout=None)
        await connection.execute("SET lock_timeout = 0; SET statement_timeout = 0")
        return connection

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool, hide_parameters=True)


async def _connect(
    address: Address, busy_timeout_seconds: float, *, command_timeout: float | None
) -> "asyncpg.Connection[Any]":
    extra: dict[str, Any] = {} if address.tls is None else {"ssl": address.tls}
    connection = await asyncpg.connect(
        address.dsn, timeout=max(busy_timeout_seconds, _SHORTEST_SECONDS), command_timeout=command_timeout, **extra
    )
    try:
        # Not in the first message: poolers refuse what they do not know there.
        await connection.execute(
            f"SET application_name = 'parley'; SET lock_timeout = {round(busy_timeout_seconds * 1000)};"
            f"SET statement_timeout = {round(_statement_seconds(busy_timeout_seconds) * 1000)};"
            f"SET idle_in_transaction_session_timeout = {_IDLE_TRANSACTION_SECONDS * 1000}"
        )
        for name in ("text", "varchar"):
            await connection.set_type_codec(
                name, schema="pg_catalog", encoder=_escape, decoder=_unescape, format="text"
            )
    except BaseException:
        connection.terminate()
        raise
    return connection


def _statement_seconds(busy_timeout_seconds: float) -> float:
    return max(_STATEMENT_TIMEOUTS * busy_timeout_seconds, _SHORTEST_SECONDS)


def _escape(text: str) -> str:
    if "\0" in text or _ESCAPE in text:
        return text.replace(_ESCAPE, _ESCAPED_ESCAPE).replace("\0", _ESCAPED_NUL)
    return text


def _unescape(text: str) -> str:
    if _ESCAPE in text:
        return text.replace(_ESCAPED_NUL, "\0").replace(_ESCAPED_ESCAPE, _ESCAPE)
    return text


DRIVER_ERRORS = (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""Everything that a database which cannot be used raises; a timeout of the driver is an `OSError` too."""

# SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html).
SERIALIZATION_FAILURE, DEADLOCK = "40001", "40P01"

_BUSY = {
    "55P03": "is busy; another writer kept what is needed locked for too long",
    "57014": "is busy; a statement took too long",
    DEADLOCK: "is busy; two writers were in each other's way",
    SERIALIZATION_FAILURE: "is busy; two writers were in each other's way",
    "53300": "has no connection left; raise max_connections there, or run fewer processes",
}

_PROBLEMS = {
    "28P01": "refuses the user or the password; set DATABASE_URL",
    "28000": "refuses the user or the way to log in; set DATABASE_URL, or let the user in (pg_hba.conf)",
    "3D000": "does not exist; create it (createdb), or set DATABASE_URL",
    "42501": "does not let this user do that; make the user its owner (ALTER DATABASE ... OWNER TO ...)",
    "25006": "cannot be written; it is a standby or set to read-only, set DATABASE_URL to the primary",
    "53100": "cannot grow, the disk is full; free some space",
    "42704": "does not know one of DATABASE_URL's options; leave it out",
    "42883": f"is too old; Parley needs PostgreSQL {OLDEST_VERSION} or newer",
}

_LOST = {
    "57P01": "was shut down",
    "57P02": "has crashed and starts again",
    "57P03": "is starting or stopping; wait until it is done",
    "57P05": "has closed the connection",
    "25P03": "has ended a transaction that stood still",
}


def sqlstate_of(error: BaseException) -> str | None:
    """Return the code by which the server says what is the matter; None where it was not the server."""
    while error is not None:
        if code := getattr(error, "sqlstate", None):
            return str(code)
        if isinstance(error, DBAPIError) and error.orig is not None:
            error = error.orig
        else:
            break
    return None


def translate(error: BaseException, label: str) -> StorageError:
    """Return the error that tells the operator what is wrong with the database and what to do.

    To be raised `from None`: what the driver says quotes what was being stored.
    """
    code = sqlstate_of(error)
    if code in _BUSY:
        return DatabaseBusyError(f"database {label} {_BUSY[code]}")
    if code in _LOST:
        return DatabaseLostError(f"database {label} {_LOST[code]}")
    if code in _PROBLEMS:
        return StorageError(f"database {label} {_PROBLEMS[code]}")
    if code is not None and not code.startswith("08"):
        return StorageError(f"database {label} failed (SQLSTATE {code}); its log holds the cause")
    return _translate_connection(driver_error_of(error), label)


def _translate_connection(error: BaseException, label: str) -> StorageError:
    problem = "has lost the connection; try again, or check that it runs"
    match error:
        case gaierror():
            problem = "is on a host that nobody knows; check the host in DATABASE_URL"
        case ssl.SSLCertVerificationError():
            problem = "shows a certificate that cannot be trusted; name its authority with sslrootcert in DATABASE_URL"
        case ssl.SSLError():
            problem = "speaks no TLS that Parley understands; check the port and sslmode in DATABASE_URL"
        case ConnectionRefusedError() | FileNotFoundError():
            problem = "takes no connections; start it, or check host and port in DATABASE_URL"
        case TimeoutError():
            problem = "does not answer; check that it runs and that a firewall lets Parley through"
        case asyncpg.ClientConfigurationError():
            return StorageError("DATABASE_URL: its options cannot be used; check them")
        case ConnectionError() if "SSL" in str(error):
            problem = "offers no TLS, which DATABASE_URL demands; switch it on there, or leave sslmode out"
        case ConnectionError():
            pass
        case OSError():
            problem = "cannot be reached; check host and port in DATABASE_URL"
        case _:
            pass
    return DatabaseLostError(f"database {label} {problem}")


def driver_error_of(error: BaseException) -> BaseException:
    """Return what the driver itself raised; SQLAlchemy wraps it twice."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error


def is_lost(error: BaseException) -> bool:
    """Say whether the connection is gone, or could not be made; what was not committed is undone."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    code = sqlstate_of(error)
    if code is not None:
        return code in _LOST or code.startswith("08")
    return isinstance(error, OSError | asyncpg.InterfaceError)


def is_unkeepable(error: BaseException) -> bool:
    """Say whether a value was refused by the driver: our caller's mistake, not the database's trouble."""
    return isinstance(driver_error_of(error), asyncpg.DataError)


def is_worth_another_try(error: BaseException) -> bool:
    """Say whether a transaction failed because of others, or of its connection, and can be done again from its start.

    Also where a migration elsewhere has changed what a prepared statement returns.
    """
    if sqlstate_of(error) in (SERIALIZATION_FAILURE, DEADLOCK):
        return True
    return is_lost(error) or "InvalidCachedStatementError" in type(getattr(error, "orig", None)).__name__
