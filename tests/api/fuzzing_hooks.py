"""What schemathesis is told of this service beside its OpenAPI document; its command line loads it.

Owns: the names it cannot guess, the refusals of valid data that no schema foretells, the check of streams. Does not
own: the run (`test_fuzzing.py`), how much is tried (`schemathesis.toml`).
"""

import json
import os
import zlib
from collections.abc import Iterator
from typing import Any, Final

import schemathesis
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from schemathesis.checks import CheckContext
from schemathesis.core.failures import Failure
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.hooks import HookContext
from schemathesis.openapi.checks import RejectedPositiveData

from api.replying import NDJSON, SSE
from tests.service import MODEL_NAME

VARIABLES: Final = {"webhook": "FUZZ_WEBHOOK", "fetch": "FUZZ_FETCH", "transcripts": "FUZZ_TRANSCRIPT"}
"""Where the run says an address that takes webhooks, and the last parts of signed addresses."""

INVENTED: Final = 8
"""One of so many valid requests keeps the names that schemathesis made up, for what is not there."""

UNFORETOLD: Final = (
    # Fields have to agree. `if` and `then` could say a part of it, which most readers of OpenAPI documents pass over.
    "given twice with two values",
    "give either text or messages",
    "model: say which",
    "needs logprobs to be true",
    "content: give a string or an array of text parts",
    "only a message of the assistant may have them",
    "a message of the role tool has it, and no other",
    "tool_choice: names a function that is not among the tools",
    "tool_choice: names a tool that is not among the tools",
    "tool_choice: needs tools",
    "may have tool_use blocks",
    "may have tool_result blocks",
    "has no tool_use before it",
    "cannot be combined with",
    "with generator_type",
    "each choice is a text",
    # It depends on the model, or on how many tokens a text is.
    "this model's chat template knows no tools",
    "the model takes no such order of roles",
    "this model's maximum context length is",
    "tokens, the limit is",
    # The page of a list is asked for by Anthropic's clients alone; others may send what they like.
    "limit: Input should be",
    "names no model; use one of",
    # It is a JSON Schema itself, and has to be one that the engine can hold a reply to.
    "not a JSON Schema",
    "no reply could ever satisfy this schema",
    "no reply of this length satisfies the schema",
    "this JSON Schema cannot be enforced",
)
"""What a request is refused for although it fits its schema: parts of the messages."""


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Name what exists, in most requests."""
    if case.meta is None or not case.meta.generation.mode.is_positive or _is_invented(case):
        return
    if isinstance(case.body, dict):
        case.body = dict(_named(case.body))
    for name in case.path_parameters or ():
        case.path_parameters[name] = MODEL_NAME if name == "model" else os.environ[VARIABLES[case.path.split("/")[-2]]]


def _is_invented(case: Case[Any]) -> bool:
    said = repr((case.path_parameters, case.body))
    return zlib.crc32(said.encode("utf-8", "backslashreplace")) % INVENTED == 0


def _named(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in body.items():
        match name, value:
            case "model" | "model_id", str():
                yield name, MODEL_NAME
            case "webhook", str():
                yield name, os.environ[VARIABLES[name]]
            case "key", str():
                # The header has one that is known.
                yield name, None
            case _:
                yield name, value


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """Drop the refusals that no schema foretells, and what OpenAPI 3.1 leaves open.

    It does not say what the `schema` of server-sent events describes. Here it is the data of each event, as in OpenAI's
    own document; schemathesis takes it for the event around it.
    """
    if failure.title == "SSE event violates schema":
        return False
    return not (isinstance(failure, RejectedPositiveData) and any(said in response.text for said in UNFORETOLD))


@schemathesis.check
def stream_conformance(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """Hold every line or event of a stream to the models that the document has for them."""
    content_type = _content_type(response)
    if content_type not in READERS:
        return
    described = case.operation.definition.raw["responses"][str(response.status_code)]["content"][content_type]
    validator = Draft202012Validator(
        {**described["schema"], "components": case.operation.schema.raw_schema["components"]}
    )
    try:
        for part in READERS[content_type](response.content.decode()):
            validator.validate(part)
    except (ValueError, ValidationError) as error:
        raise Failure(operation=case.operation.label, title="Stream breaks its schema", message=str(error)) from None


def _content_type(response: Response) -> str:
    return response.headers.get("content-type", [""])[0].partition(";")[0]


def _read_lines(text: str) -> Iterator[Any]:
    """Yield the objects of newline-delimited JSON, of which the last one, and no other, says that it is done."""
    *lines, rest = text.split("\n")
    found = [json.loads(line) for line in lines]
    if rest or [each.get("done", True) for each in found] != [False] * (len(found) - 1) + [True]:
        raise ValueError("the stream does not end where it says so")
    yield from found


def _read_events(text: str) -> Iterator[Any]:
    """Yield the data of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    *events, rest = text.split("\n\n")
    found: dict[str, Any] = {}
    for event in events:
        fields = [line.partition(": ")[::2] for line in event.split("\n") if not line.startswith(":")]
        data = "\n".join(value for name, value in fields if name == "data")
        if not fields or data == "[DONE]":
            continue
        found = json.loads(data)
        if any(value != found["type"] for name, value in fields if name == "event"):
            raise ValueError("an event is not of the type that its data says")
        yield found
    if rest or not (events[-1:] == ["data: [DONE]"] or found.get("type") in {"message_stop", "error"}):
        raise ValueError("the stream does not end where it says so")


READERS: Final = {NDJSON: _read_lines, SSE: _read_events}
