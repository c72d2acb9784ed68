"""Every refusal has words of its own."""

import inspect

import pytest

from bot import errors
from bot.errors import RefusedError
from bot.texts import refusals


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (errors.AllowanceUsedError(limit=5, resets_at=None), refusals.allowance_used(limit=5, resets_at=None)),
        (errors.BusyError(retry_after_seconds=9), refusals.busy(retry_after_seconds=9)),
        (errors.PromptTooLongError(prompt_tokens=9, limit=5), refusals.prompt_too_long(prompt_tokens=9, limit=5)),
        (errors.UnexpectedError(request_id="r1"), refusals.unexpected(request_id="r1")),
        (errors.NotPermittedError(permission="Manage Server"), refusals.not_permitted(permission="Manage Server")),
    ],
)
def test_the_data_of_a_refusal_is_in_its_sentence(refusal: RefusedError, sentence: str) -> None:
    assert refusal.sentence() == sentence


def test_every_refusal_says_its_own_sentence() -> None:
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, RefusedError)]
    assert len(classes) > 10
    assert [kind.__name__ for kind in classes if kind is not RefusedError and inspect.isabstract(kind)] == []


def test_a_refusal_derived_from_another_takes_its_words() -> None:
    class StillBusyError(errors.BusyError):
        pass

    assert StillBusyError(retry_after_seconds=3).sentence() == refusals.busy(retry_after_seconds=3)
