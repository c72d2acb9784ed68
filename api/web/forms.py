"""Reading what a form sent.

Owns: the body of a form, and numbers in it. Does not own: what the fields mean, or whose form it was (`sessions.py`).
"""

import asyncio
from collections.abc import Mapping

from aiohttp import web

from api import keys
from api.errors import ApiError, Kind, body_late, invalid

FORM_TYPE = "application/x-www-form-urlencoded"


async def read_form(request: web.Request) -> Mapping[str, str]:
    """Return the fields of a form; raises the 415, the 408 and the 400. aiohttp raises the 413 of too large a one."""
    if request.content_type != FORM_TYPE:
        raise ApiError(415, "Unsupported media type", "Send the form of the page.", kind=Kind.NOT_JSON)
    seconds = request.app[keys.CONFIG].body_seconds
    try:
        async with asyncio.timeout(seconds):
            fields = await request.post()
    except TimeoutError:
        raise body_late(seconds) from None
    except (web.RequestPayloadError, ValueError, LookupError):
        raise invalid("The form could not be read; send it whole, as UTF-8.") from None
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def read_whole(fields: Mapping[str, str], name: str, what: str, *, low: int, high: int) -> int | None:
    """Return a whole number of a form, None where its field was left empty; raises the 400 in plain words."""
    typed = fields.get(name, "").strip().replace(",", "")
    if not typed:
        return None
    if not typed.isascii() or not typed.lstrip("-").isdigit() or len(typed) > 20 or not low <= int(typed) <= high:
        raise invalid(f"{what}: give a whole number from {low:,} to {high:,}.")
    return int(typed)
