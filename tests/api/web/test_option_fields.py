"""The form of options says what `api/contract.py` says."""

from api.contract import SamplingFields
from api.web.option_fields import option_fields


def test_every_sampling_option_is_there_with_its_default() -> None:
    fields = {field.name: field for field in option_fields()}
    assert set(fields) == {*SamplingFields.model_fields, "format"}
    for name, field in SamplingFields.model_fields.items():
        assert fields[name].default == ("none" if field.default is None else str(field.default))
        assert fields[name].meaning == field.description


def test_ranges_are_those_of_the_contract() -> None:
    ranges = {field.name: field.range for field in option_fields()}
    assert ranges["temperature"] == "0 to 5"
    assert ranges["num_ctx"] == "64 and above"
    assert ranges["repeat_penalty"] == "0.1 to 5"
    assert ranges["stop"] == "at most 16"
    assert ranges["seed"] == ""
