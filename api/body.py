"""Reading a JSON body into its model, with every way it can be bad told apart.

Owns: content type, encoding, JSON syntax, validation. Does not own: what the fields mean.
"""

import json
from typing import Any, NoReturn, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from api.errors import ApiError, from_validation, invalid

ModelT = TypeVar("ModelT", bound=BaseModel)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


async def read_object(request: web.Request) -> dict[str, Any]:
    """Read the body as a JSON object (RFC 8259: UTF-8, and no NaN or Infinity).

    Raises the 400 or 415 that says what is wrong; aiohttp raises its own 413 for a body over the limit.
    """
    if request.content_type != "application/json":
        raise ApiError(415, "Unsupported media type", "Send JSON with the header Content-Type: application/json.")
    raw = await request.read()
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise invalid("The body is not UTF-8; encode the JSON as UTF-8.") from None
    except json.JSONDecodeError as error:
        raise invalid(f"The body is not JSON: line {error.lineno}, column {error.colno}.") from None
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
        raise from_validation(error, model) from None
