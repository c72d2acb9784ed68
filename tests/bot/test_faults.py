"""Faults in the log: what kind and where, never what was said."""

import logging

import pytest

from bot.client import ParleyBot
from bot.config import BotConfig, BotStores
from bot.faults import describe


def _fail(secret: str) -> None:
    raise ValueError(f"could not read {secret}")


def test_a_fault_is_its_type_and_its_places() -> None:
    try:
        _fail("swordfish")
    except ValueError as error:
        described = describe(error)
    assert described.startswith("ValueError at bot/test_faults.py:")
    assert described.endswith(" _fail")
    assert "swordfish" not in described


def test_a_fault_that_was_never_raised_is_described_too() -> None:
    assert describe(ValueError("swordfish")) == "ValueError at an unknown place"


async def test_a_failed_event_handler_is_logged_without_its_arguments(
    config: BotConfig, stores: BotStores, caplog: pytest.LogCaptureFixture
) -> None:
    async with ParleyBot(config, stores) as bot:
        try:
            _fail("swordfish")
        except ValueError:
            await bot.on_error("on_message", "marlin")
    (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert "on_message failed: ValueError" in record.getMessage()
    assert record.exc_info is None
    assert "swordfish" not in caplog.text
    assert "marlin" not in caplog.text
