"""Every refusal has words of its own."""

import pytest

from bot import errors, texts
from bot.errors import RefusedError, explain


def _refusals() -> list[type[RefusedError]]:
    return RefusedError.__subclasses__()


def test_the_table_of_words_is_complete() -> None:
    assert set(errors._WORDS) == set(_refusals())


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (errors.AllowanceUsedError(limit=5, resets_at=None), texts.allowance_used(limit=5, resets_at=None)),
        (errors.BusyError(retry_after_seconds=9), texts.busy(retry_after_seconds=9)),
        (errors.PromptTooLongError(prompt_tokens=9, limit=5), texts.prompt_too_long(prompt_tokens=9, limit=5)),
        (errors.UnexpectedError(request_id="r1"), texts.unexpected(request_id="r1")),
        (errors.NotPermittedError(permission="Manage Server"), texts.not_permitted(permission="Manage Server")),
    ],
)
def test_the_data_of_a_refusal_is_in_its_sentence(refusal: RefusedError, sentence: str) -> None:
    assert explain(refusal) == sentence


def test_a_refusal_derived_from_another_takes_its_words() -> None:
    class StillBusyError(errors.BusyError):
        pass

    assert explain(StillBusyError(retry_after_seconds=3)) == texts.busy(retry_after_seconds=3)
    assert explain(RefusedError()) == texts.unexpected(request_id="")
    # Let the subclass go: the table's completeness is checked over those that exist.
    del StillBusyError
