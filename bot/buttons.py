"""The buttons of a reply: Stop while it grows; Regenerate, and Continue where it was cut, while it is the last.

Owns: what they look like. Their ids are constant, so that they work after a restart; whose reply they belong to is
found by the message they stand on, never by anything a client sends. Does not own: what a press does
(`cogs/buttons.py`).
"""

from collections.abc import Iterator

import discord

from bot.texts import replies

PREFIX = "parley:"
STOP = f"{PREFIX}stop"
REGENERATE = f"{PREFIX}regenerate"
CONTINUE = f"{PREFIX}continue"


def running_view() -> discord.ui.View:
    """Return the buttons of a growing reply."""
    return _view(discord.ui.Button(label=replies.stop_button(), emoji="⏹️", custom_id=STOP))


def after_view(*, can_continue: bool) -> discord.ui.View:
    """Return the buttons of a finished reply."""
    buttons = [discord.ui.Button[discord.ui.View](label=replies.regenerate_button(), emoji="🔄", custom_id=REGENERATE)]
    if can_continue:
        buttons.append(discord.ui.Button(label=replies.continue_button(), emoji="▶️", custom_id=CONTINUE))
    return _view(*buttons)


def has_buttons(message: discord.Message) -> bool:
    """Say whether a message carries buttons of a reply."""
    return any((button.custom_id or "").startswith(PREFIX) for button in _buttons_of(message))


def can_be_stopped(message: discord.Message) -> bool:
    """Say whether a message carries Stop."""
    return any(button.custom_id == STOP for button in _buttons_of(message))


def _buttons_of(message: discord.Message) -> Iterator[discord.Button]:
    for row in message.components:
        if isinstance(row, discord.ActionRow):
            yield from (child for child in row.children if isinstance(child, discord.Button))


def _view(*buttons: discord.ui.Button[discord.ui.View]) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    for button in buttons:
        view.add_item(button)
    # Ended before it is sent: discord.py would keep each view for ever; one listener takes all presses.
    view.stop()
    return view
