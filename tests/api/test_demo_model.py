"""The bundled model through the running service: it holds its small world, word for word."""

import pytest

from models import heldout
from models.dialogues import Message
from models.evaluate import Report, score
from tests.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

REQUIRED_SHARE = 0.9


async def measure(service: Service, **options: float) -> Report:
    """Ask for the last reply of every held-out dialogue over HTTP."""

    async def ask(messages: list[Message]) -> str:
        body = {"messages": messages, "num_predict": 96, **options}
        status, reply, _ = await service.post("/ai/chat", body)
        assert status == 200, reply
        content = reply["message"]["content"]
        assert isinstance(content, str)
        return content

    dialogues = heldout.read()
    assert len(dialogues) == 300
    return await score(ask, dialogues)


async def test_greedy_replies_are_the_expected_ones_word_for_word(service: Service) -> None:
    report = await measure(service, temperature=0, repeat_penalty=1)
    assert report.share >= REQUIRED_SHARE, report.table()


async def test_the_services_default_sampling_does_nearly_as_well(service: Service) -> None:
    report = await measure(service, seed=7)
    assert report.share >= REQUIRED_SHARE - 0.05, report.table()


async def test_a_persona_is_taken_on_and_facts_are_remembered(service: Service) -> None:
    messages = [
        {"role": "system", "content": "You are Mira, a grumpy lighthouse keeper."},
        {"role": "user", "content": "Hi, my name is Torvin."},
        {"role": "assistant", "content": "Nice to meet you, Torvin!"},
        {"role": "user", "content": "My lucky number is 58."},
        {"role": "assistant", "content": "I will remember that your lucky number is 58."},
    ]
    for question, expected in (
        ("What is your name?", "Mira"),
        ("What is my lucky number?", "58"),
        ("What is my name?", "Torvin"),
    ):
        body = {"messages": [*messages, {"role": "user", "content": question}], "temperature": 0}
        _, reply, _ = await service.post("/ai/chat", body)
        assert expected in reply["message"]["content"]
