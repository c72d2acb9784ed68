"""What Discord refuses about buttons, menus and forms.

Source: https://discord.com/developers/docs/components/reference and, for forms,
https://discord.com/developers/docs/interactions/receiving-and-responding#interaction-response-object-modal.
"""

from collections.abc import Iterator

from tests.doubles.discord_basics import Json
from tests.doubles.discord_messages import BUTTON, LABEL, ROW, SELECTS, STRING_SELECT, TEXT_INPUT, walk

MAX_ROWS = 5
MAX_BUTTONS_IN_A_ROW = 5
MAX_MENU_OPTIONS = 25
MAX_CUSTOM_ID = 100
MAX_BUTTON_LABEL = 80
MAX_BUTTON_URL = 512
MAX_MENU_TEXT = 100
MAX_MENU_PLACEHOLDER = 150
MAX_COMPONENTS_V2 = 40
MAX_TEXT_V2 = 4000
MAX_FORM_TITLE = 45
MAX_FORM_INPUTS = 5
MAX_FORM_LABEL = 45
MAX_FORM_DESCRIPTION = 100
MAX_INPUT_PLACEHOLDER = 100
MAX_INPUT_TEXT = 4000

TEXT_DISPLAY = 10
_LINK, _PREMIUM = 5, 6


def check_components(components: list[Json], *, is_v2: bool = False) -> list[str]:
    """Return everything Discord would refuse about a message's components.

    `is_v2`: the message carries the flag that allows more than rows of buttons and menus.
    """
    problems = list(_check_ids(components))
    if is_v2:
        everything = list(walk(components))
        text = sum(len(each.get("content", "")) for each in everything if each["type"] == TEXT_DISPLAY)
        if len(everything) > MAX_COMPONENTS_V2 or text > MAX_TEXT_V2:
            problems.append(f"components: {len(everything)} of them, {text} characters of text")
    else:
        if len(components) > MAX_ROWS:
            problems.append(f"components: {len(components)} rows")
        problems += [f"components: type {each['type']} outside of a row" for each in components if each["type"] != ROW]
    for each in walk(components):
        problems += _check_component(each)
    return problems


def _check_ids(components: list[Json]) -> Iterator[str]:
    ids = [each["custom_id"] for each in walk(components) if "custom_id" in each]
    for custom_id in ids:
        if not 1 <= len(custom_id) <= MAX_CUSTOM_ID:
            yield f"custom_id: {len(custom_id)} characters"
    for custom_id in sorted({each for each in ids if ids.count(each) > 1}):
        yield f"custom_id: {custom_id!r} is there twice"


def _check_component(component: Json) -> Iterator[str]:
    kind = component["type"]
    if kind == ROW:
        yield from _check_row(component.get("components", []))
    elif kind == BUTTON:
        yield from _check_button(component)
    elif kind in SELECTS:
        yield from _check_menu(component)


def _check_row(held: list[Json]) -> Iterator[str]:
    kinds = [each["type"] for each in held]
    is_buttons = all(kind == BUTTON for kind in kinds) and 1 <= len(kinds) <= MAX_BUTTONS_IN_A_ROW
    is_menu = len(kinds) == 1 and kinds[0] in SELECTS
    if not is_buttons and not is_menu:
        yield f"row: holds components of the types {kinds}"


def _check_button(button: Json) -> Iterator[str]:
    is_link, is_premium = button.get("style") == _LINK, button.get("style") == _PREMIUM
    if len(button.get("label") or "") > MAX_BUTTON_LABEL:
        yield f"button: label of {len(button['label'])} characters"
    if not is_premium and not button.get("label") and not button.get("emoji"):
        yield "button: neither label nor emoji"
    if is_link and not 1 <= len(button.get("url") or "") <= MAX_BUTTON_URL:
        yield f"button: url of {len(button.get('url') or '')} characters"
    if ("custom_id" in button) == (is_link or is_premium):
        yield f"button: style {button.get('style')} and custom_id {button.get('custom_id')!r} do not go together"


def _check_menu(menu: Json) -> Iterator[str]:
    if len(menu.get("placeholder") or "") > MAX_MENU_PLACEHOLDER:
        yield f"menu: placeholder of {len(menu['placeholder'])} characters"
    if not 0 <= menu.get("min_values", 1) <= MAX_MENU_OPTIONS or not 1 <= menu.get("max_values", 1) <= MAX_MENU_OPTIONS:
        yield "menu: min_values or max_values out of range"
    if "custom_id" not in menu:
        yield "menu: no custom_id"
    if menu["type"] == STRING_SELECT:
        yield from _check_menu_options(menu.get("options", []))


def _check_menu_options(options: list[Json]) -> Iterator[str]:
    if not 1 <= len(options) <= MAX_MENU_OPTIONS:
        yield f"menu: {len(options)} options"
    values = [option["value"] for option in options]
    if len(set(values)) < len(values):
        yield "menu: two options have the same value"
    for option in options:
        sizes = [len(option["label"]), len(option["value"])]
        if not all(1 <= size <= MAX_MENU_TEXT for size in sizes):
            yield f"menu: an option's label and value have {sizes} characters"
        if len(option.get("description") or "") > MAX_MENU_TEXT:
            yield f"menu: an option's description has {len(option['description'])} characters"


def check_form(form: Json) -> list[str]:
    """Return everything Discord would refuse about a form that a bot opens."""
    components = form.get("components", [])
    problems = list(_check_ids([{"type": 0, "custom_id": form.get("custom_id", "")}, *components]))
    if not 1 <= len(form.get("title", "")) <= MAX_FORM_TITLE:
        problems.append(f"form: title of {len(form.get('title', ''))} characters")
    if not 1 <= len(components) <= MAX_FORM_INPUTS:
        problems.append(f"form: {len(components)} components")
    for each in components:
        problems += _check_form_part(each)
    return problems


def _check_form_part(part: Json) -> Iterator[str]:
    if part["type"] == ROW and [each["type"] for each in part["components"]] == [TEXT_INPUT]:
        yield from _check_input(part["components"][0])
        if not 1 <= len(part["components"][0].get("label") or "") <= MAX_FORM_LABEL:
            yield "form: an input's label is missing or too long"
    elif part["type"] == LABEL:
        if not 1 <= len(part.get("label", "")) <= MAX_FORM_LABEL:
            yield f"form: label of {len(part.get('label', ''))} characters"
        if len(part.get("description") or "") > MAX_FORM_DESCRIPTION:
            yield f"form: description of {len(part['description'])} characters"
        inner = part["component"]
        yield from _check_input(inner) if inner["type"] == TEXT_INPUT else _check_component(inner)
    elif part["type"] != TEXT_DISPLAY:
        yield f"form: a component of type {part['type']}"


def _check_input(field: Json) -> Iterator[str]:
    low, high = field.get("min_length") or 0, field.get("max_length", MAX_INPUT_TEXT)
    if not 0 <= low <= MAX_INPUT_TEXT or not 1 <= high <= MAX_INPUT_TEXT or low > high:
        yield f"input: takes {low} to {high} characters"
    if len(field.get("placeholder") or "") > MAX_INPUT_PLACEHOLDER:
        yield f"input: placeholder of {len(field['placeholder'])} characters"
    if len(field.get("value") or "") > high:
        yield f"input: a value of {len(field['value'])} characters, where {high} are allowed"
    if field.get("style") not in (1, 2):
        yield f"input: style {field.get('style')}"
