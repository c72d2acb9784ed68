"""How a filled-in form travels to the bot, in the old layout of rows and in the one of labels.

Source: https://discord.com/developers/docs/components/reference#label and
https://discord.com/developers/docs/interactions/receiving-and-responding#interaction-object-modal-submit-data-structure.
"""

from typing import Any

from tests.doubles.discord_basics import Json
from tests.doubles.discord_component_limits import MAX_INPUT_TEXT
from tests.doubles.discord_messages import LABEL, ROW, TEXT_INPUT, walk, with_ids


def check_entries(form: Json, entries: dict[str, Any]) -> None:
    """Raise `ValueError` where Discord's client would not send the form."""
    inputs = {each["custom_id"]: each for each in walk(form["components"]) if "custom_id" in each}
    strangers = entries.keys() - inputs.keys()
    if strangers:
        raise ValueError(f"the form has no inputs {sorted(strangers)}")
    for custom_id, field in inputs.items():
        entry = entries.get(custom_id, field.get("value") or "")
        if field.get("required", True) and not entry:
            raise ValueError(f"{custom_id} has to be filled in")
        low, high = field.get("min_length") or 0, field.get("max_length", MAX_INPUT_TEXT)
        if field["type"] == TEXT_INPUT and entry and not low <= len(entry) <= high:
            raise ValueError(f"{custom_id}: {len(entry)} characters, where {low} to {high} are asked for")


def submitted(form: Json, entries: dict[str, Any]) -> list[Json]:
    """Return the components of a submission; inputs that are not named keep the text they came with."""
    return [_part(part, entries) for part in with_ids(form["components"])]


def _part(part: Json, entries: dict[str, Any]) -> Json:
    rendered = {"type": part["type"], "id": part["id"]}
    if part["type"] == ROW:
        return {**rendered, "components": [_part(each, entries) for each in part["components"]]}
    if part["type"] == LABEL:
        return {**rendered, "component": _part(part["component"], entries)}
    if "custom_id" not in part:
        return rendered
    rendered["custom_id"] = part["custom_id"]
    if part["type"] == TEXT_INPUT:
        return {**rendered, "value": entries.get(part["custom_id"], part.get("value") or "")}
    return {**rendered, "values": entries.get(part["custom_id"], [])}
