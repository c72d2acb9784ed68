"""Reading a JSON body into its model, with every way it can be bad told apart.

Owns: content type, encoding, JSON syntax, validation. Does not own: what the fields mean.
"""

import asyncio
import json
from contextlib import nullcontext
from typing import Any, NoReturn, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from api import keys
from api.errors import body_late, from_validation, invalid, not_json

MAX_FIELDS = 1_000
"""Fields of one JSON object. Each unknown one is a finding; 70,000 of them would hold up everybody else."""

ModelT = TypeVar("ModelT", bound=BaseModel)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


class _TooManyFieldsError(Exception):
    """An object of the body has more fields than anybody needs."""


def _bounded_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_FIELDS:
        raise _TooManyFieldsError
    return dict(pairs)


async def read_object(request: web.Request, *, needs_content_type: bool = True) -> dict[str, Any]:
    """Read the body as a JSON object (RFC 8259: UTF-8, and no NaN or Infinity).

    Without `needs_content_type` a body is taken for JSON whatever its type says, as `curl -d` sends it.
    Raises the 400 or 415 that says what is wrong, and the 408 of a body that takes too long; aiohttp raises its own 413
    for one over the limit.
    """
    if needs_content_type and request.content_type != "application/json":
        raise not_json()
    seconds = request.app[keys.CONFIG].body_seconds
    try:
        # A small body has come with the head, and needs no timer.
        async with nullcontext() if request.content.is_eof() else asyncio.timeout(seconds):
            raw = await request.read()
    except TimeoutError:
        raise body_late(seconds) from None
    except web.RequestPayloadError:
        raise invalid("The body could not be read; send it whole, and check Content-Encoding.") from None
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_bounded_object)
    except UnicodeDecodeError:
        raise invalid("The body is not UTF-8; encode the JSON as UTF-8.") from None
    except json.JSONDecodeError as error:
        raise invalid(f"The body is not JSON: line {error.lineno}, column {error.colno}.") from None
    except _TooManyFieldsError:
        raise invalid(f"An object of the body has more than {MAX_FIELDS} fields.") from None
    except (ValueError, RecursionError):
        raise invalid(
            "The body is not JSON: it holds NaN, Infinity, an endless number or is nested too deep."
        ) from None
    if not isinstance(value, dict):
        raise invalid("The body must be one JSON object.")
    return value


def validate(model: type[ModelT], value: dict[str, Any]) -> ModelT:
    """Validate an object; raises the 400 that lists every bad field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise from_validation(error, model, value.keys()) from None
