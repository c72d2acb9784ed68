"""Finding the dialect of a path, and saying shared refusals in its words."""

import pytest

from api.contract import FieldProblem
from api.dialect import NATIVE
from api.errors import MAX_SAID, ApiError, Kind, invalid, invalid_field
from api.openai_dialect import OPENAI, OpenAIDialect
from api.routes import DIALECTS, ROUTES


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/ai/chat", "Native"),
        ("/healthz", "Native"),
        ("/", "Native"),
        ("/nowhere", "Native"),
        ("/v1", "OpenAI"),
        ("/v1/", "OpenAI"),
        ("/v1/embeddings", "OpenAI"),
        ("/v1/models/x", "OpenAI"),
        ("/v10/models", "Native"),
        ("/api/v1/chat/completions", "OpenAI"),
        ("/chat/completions", "OpenAI"),
        ("/chat", "Native"),
        ("*", "Native"),
    ],
)
def test_a_path_belongs_to_a_dialect_whether_or_not_it_is_a_route(path: str, name: str) -> None:
    assert DIALECTS.find(path).name == name


def test_every_route_lies_below_a_prefix_of_the_dialect_it_is_listed_under() -> None:
    for route in ROUTES:
        for path in route.paths:
            assert DIALECTS.find(path).name == (route.tag if route.tag != "Operations" else NATIVE.name)


def test_a_shared_refusal_names_fields_as_the_dialect_does() -> None:
    error = invalid_field("format", "cannot be enforced").renamed(OpenAIDialect.field_names)
    assert (error.field, error.message) == ("response_format", "response_format: cannot be enforced")
    deep = invalid_field("format.x", "bad").renamed(OpenAIDialect.field_names)
    assert deep.field == "response_format.x"


def test_a_field_that_the_caller_sent_keeps_its_name() -> None:
    details = [FieldProblem(field="num_predict", problem="unknown field")]
    error = invalid("num_predict: unknown field", details=details, is_in_own_words=True)
    assert error.renamed(OpenAIDialect.field_names).field == "num_predict"


def test_a_text_spells_out_a_few_problems_and_counts_the_rest() -> None:
    details = [FieldProblem(field=f"f{at}", problem="bad") for at in range(MAX_SAID + 2)]
    said = invalid("f0: bad (and more)", details=details).full_message
    assert said.startswith("f0: bad; f1: bad; ")
    assert said.endswith("; and 2 more")
    assert invalid_field("a", "bad").full_message == "a: bad"


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("status", [400, 403, 429, 500, 503])
def test_openai_says_every_kind_with_all_four_keys(kind: Kind, status: int) -> None:
    response = OPENAI.render(ApiError(status, "Title", "What to do.", kind=kind), "id")
    assert response.content_type == "application/json"
    body = OPENAI.say(ApiError(status, "Title", "What to do.", kind=kind), "id").model_dump()
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["code"] == kind.value
    assert response.status == (429 if kind is Kind.BALANCE_SPENT else status)


@pytest.mark.parametrize(("seconds", "should_retry"), [(1, None), (60, None), (61, "false"), (80_000, "false")])
def test_a_client_is_told_not_to_come_back_when_it_would_not_wait_that_long(
    seconds: int, should_retry: str | None
) -> None:
    error = ApiError(429, "Title", "Wait.", kind=Kind.CALLS_USED, headers={"Retry-After": str(seconds)})
    headers = OPENAI.error_headers(error)
    assert headers["retry-after-ms"] == str(seconds * 1000)
    assert headers.get("x-should-retry") == should_retry
