"""The OpenAI dialect through the unmodified `litellm` package, which runs in an environment of its own."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from tests.service import MODEL_NAME, Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("LITELLM_PYTHON", ROOT / ".venv-litellm/bin/python"))
PROGRAM = Path(__file__).with_name("litellm_client.py")

needs_litellm = pytest.mark.skipif(not PYTHON.exists(), reason="litellm is not installed: make test-litellm")


@needs_litellm
async def test_litellm_gets_replies_streams_choices_and_its_own_exceptions(service: Service) -> None:
    spent = await service.tokens.create("spent", daily_calls=1)
    await service.ledger.keep(await service.ledger.charge(spent.token.tenant_id, limit=1))
    # Without its list of prices, which it would fetch from elsewhere.
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONWARNINGS": "ignore"}
    program = await asyncio.create_subprocess_exec(
        *(str(PYTHON), str(PROGRAM), service.url, MODEL_NAME),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    async with asyncio.timeout(120):
        said, _ = await program.communicate(f"{service.secret}\n{spent.secret}\n".encode())
    assert program.returncode == 0
    reply = json.loads(said.splitlines()[-1])
    expected = (await service.ask("Hello!", temperature=0, repeat_penalty=1))["message"]["content"]
    assert reply["text"] == reply["streamed"] == expected
    assert reply["usage"] > 0
    assert reply["choices"] == 2
    assert reply["errors"] == [
        "NotFoundError",
        "ContextWindowExceededError",
        "BadRequestError",
        "AuthenticationError",
        "RateLimitError",
    ]
