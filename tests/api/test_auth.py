"""Who may call: every way a token can be wrong is told apart, and none tells more than it must."""

from datetime import UTC, datetime

import pytest
from aiohttp.test_utils import make_mocked_request

from api import keys
from tests.service import SERVICE_TOKEN, Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELLO = {"messages": [{"role": "user", "content": "Hello!"}], "num_predict": 1}


async def refusal(service: Service, headers: dict[str, str]) -> tuple[int, str]:
    status, error, response = await service.post("/ai/chat", HELLO, headers=headers)
    if status == 401:
        assert error["error"] == "Unauthorized"
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert "X-RateLimit-Limit" not in response.headers
    return status, error["message"]


async def test_no_unknown_revoked_and_expired_tokens_are_told_apart(service: Service) -> None:
    revoked = await service.tokens.create("revoked", daily_calls=5)
    await service.tokens.revoke(revoked.token.id)
    expired = await service.tokens.create("expired", daily_calls=5, expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    answers = [
        await refusal(service, headers)
        for headers in (
            {},
            {"Authorization": "Bearer parley_" + "x" * 43},
            {"Authorization": f"Bearer {revoked.secret}"},
            {"Authorization": expired.secret},
        )
    ]
    assert [status for status, _ in answers] == [401] * 4
    assert len({message for _, message in answers}) == 4
    assert not any(revoked.secret in message or expired.secret in message for _, message in answers)


async def test_a_rotated_token_works_with_its_new_secret_only(service: Service) -> None:
    issued = await service.tokens.rotate(service.token.id)
    assert (await refusal(service, service.headers))[0] == 401
    status, _, _ = await service.post("/ai/chat", HELLO, headers={"Authorization": issued.secret})
    assert status == 200


@pytest.mark.parametrize(
    "value",
    ["Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "parley_", "Bearer parley_\tx", "Bearer " + "x" * 4000, "Bearer é"],
)
async def test_odd_headers_are_refused_plainly(service: Service, value: str) -> None:
    assert (await refusal(service, {"Authorization": value}))[0] == 401


async def test_only_the_service_token_may_act_for_a_server(service: Service) -> None:
    status, _ = await refusal(service, {**service.headers, "X-Parley-On-Behalf-Of": "discord:1"})
    assert status == 403


@pytest.mark.parametrize("tenant", [None, "", "discord:", "discord:abc", "tok_123", "discord:1;drop"])
async def test_the_service_token_must_name_a_tenant(service: Service, tenant: str | None) -> None:
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    if tenant is not None:
        headers["X-Parley-On-Behalf-Of"] = tenant
    assert (await refusal(service, headers))[0] == 400


async def test_only_the_service_token_may_name_a_person(service: Service) -> None:
    status, _ = await refusal(service, {**service.headers, "X-Parley-Person": "1"})
    assert status == 403


@pytest.mark.parametrize("person", ["", "-1", "abc", "1" * 21, "１", "1 2"])
async def test_a_person_is_named_by_digits(service: Service, person: str) -> None:
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}", "X-Parley-On-Behalf-Of": "discord:1"}
    status, error, _ = await service.post("/ai/chat", HELLO, headers={**headers, "X-Parley-Person": person})
    assert status == 400
    assert [problem["field"] for problem in error["details"]] == ["X-Parley-Person"]


@pytest.mark.parametrize(("person", "person_id"), [(None, None), ("80351110224678912", 80351110224678912)])
async def test_the_person_who_asks_is_known_to_the_service(
    service: Service, person: str | None, person_id: int | None
) -> None:
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}", "X-Parley-On-Behalf-Of": "discord:1"}
    if person is not None:
        headers["X-Parley-Person"] = person
    request = make_mocked_request("POST", "/ai/chat", headers=headers)
    caller = await service.app[keys.AUTHENTICATOR].authenticate(request, SERVICE_TOKEN)
    assert (caller.tenant_id, caller.person_id) == ("discord:1", person_id)
    status, _, _ = await service.post("/ai/chat", HELLO, headers=headers)
    assert status == 200


async def test_a_token_with_a_newline_never_reaches_the_store(service: Service) -> None:
    with pytest.raises(ValueError, match="header"):
        await service.post("/ai/chat", HELLO, headers={"Authorization": f"Bearer {service.secret}\nX: y"})


async def test_the_callers_request_id_is_kept_when_harmless(service: Service) -> None:
    for wished, is_kept in (("abc-123", True), ("x" * 65, False), ("a b", False)):
        _, _, response = await service.post("/ai/chat", HELLO, headers={**service.headers, "X-Request-Id": wished})
        assert (response.headers["X-Request-Id"] == wished) is is_kept
