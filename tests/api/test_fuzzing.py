"""schemathesis over the OpenAPI document of every dialect: the real service on a real socket, a bounded budget.

`FUZZ_SEED` makes another run, `FUZZ_EXAMPLES` (per operation) a longer one; `make fuzz` is one. Does not own: what
schemathesis is told of the service (`fuzzing_hooks.py`), what it tries (`schemathesis.toml`).
"""

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.replying import NDJSON, SSE
from generation.engine import Engine
from tests.api.fuzzing_hooks import READERS, VARIABLES
from tests.doubles.webhook_receiver import receiving
from tests.service import Service, running_service

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]
SEED = os.environ.get("FUZZ_SEED", "1")
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "8")
MAX_SECONDS = 60 * int(EXAMPLES)

GENERATING = ("/ai/chat", "/v1/chat/completions", "/api/chat", "/api/generate", "/v1/messages", "/api/v6/llm/chat")


async def schemathesis(service: Service, **environment: str) -> tuple[int, str]:
    """Run the unmodified command line; its exit status and what it printed."""
    program = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("st")), "--config-file", "tests/api/schemathesis.toml"),
        *("run", f"{service.url}/openapi.json", "--url", service.url),
        *("--seed", SEED, "--max-examples", EXAMPLES),
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "FUZZ_TOKEN": service.secret, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await program.communicate()
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    assert program.returncode is not None
    return program.returncode, "\n".join(line[:500] for line in said.decode().splitlines())


async def signed_addresses(service: Service, webhook: str) -> dict[str, str]:
    """Make a conversation and an awaited reply, for the addresses that only the service can name."""
    body = {"key": service.secret, "prompt": "Hello!", "max_new_tokens": 4}
    _, kept, _ = await service.post("/api/v6/llm/chat", body, headers={})
    _, awaited, _ = await service.post("/api/v6/llm/chat", {**body, "webhook": webhook}, headers={})
    addresses = {"fetch": awaited["fetch_result"], "transcripts": kept["output"][0]}
    return {VARIABLES[kind]: address.rsplit("/", 1)[1] for kind, address in addresses.items()}


async def answered(service: Service) -> set[tuple[str, int]]:
    """List the routes and the statuses they answered."""
    _, text, _ = await service.get("/metrics", headers={})
    return {
        (sample.labels["route"], int(sample.labels["status"]))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "parley_requests_total"
    }


@pytest.mark.timeout(MAX_SECONDS)
async def test_no_request_made_from_the_document_gets_a_reply_that_breaks_it(
    demo_engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    bounds: dict[str, Any] = {
        "context_tokens": 64,
        "daily_calls": 10**6,
        "webhooks_per_minute": 10**6,
        "webhooks_waiting": 10**6,
    }
    async with (
        receiving() as receiver,
        running_service(
            demo_engine, tmp_path, allows_private_webhooks=True, uncensored_system_prompt="Be blunt.", **bounds
        ) as service,
    ):
        addresses = await signed_addresses(service, receiver.url)
        status, said = await schemathesis(service, **addresses, **{VARIABLES["webhook"]: receiver.url})
        assert status == 0, said
        # It did not knock at closed doors all the time.
        assert {(route, status) for route in GENERATING for status in (200, 400)} <= await answered(service)
    assert not caplog.records


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        (NDJSON, ""),
        (NDJSON, '{"done": false}\n'),
        (NDJSON, '{"done": true}'),
        (NDJSON, '{"done": true}\n{"done": true}\n'),
        (NDJSON, '{"done"\n'),
        (SSE, ""),
        (SSE, ": working\n\n"),
        (SSE, 'data: {"choices": []}\n\n'),
        (SSE, 'data: {"choices": []}\n\ndata: [DONE]'),
        (SSE, 'event: ping\ndata: {"type": "message_stop"}\n\n'),
    ],
)
async def test_a_stream_that_is_none_or_breaks_off_would_be_found(content_type: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"stream|event|Expecting"):
        list(READERS[content_type](text))
