"""The form in which a persona is written: a large field, and in a server a small one for a name to save it under.

Does not own: what a persona may be (`persona_text.py`), or what becomes of it (`cogs/persona.py`).
"""

from collections.abc import Awaitable, Callable
from typing import Any

import discord

from bot.language import speak
from bot.persona_text import MAX_PERSONA_CHARACTERS, MAX_PERSONA_NAME_CHARACTERS
from bot.texts import personas as words
from bot.tree import fail

OPEN_SECONDS = 3600.0
"""How long a form is waited for: Discord never tells about one that was closed."""

TEXT_FIELD = "persona"
NAME_FIELD = "name"

Submit = Callable[[discord.Interaction[Any], str, str], Awaitable[None]]
"""What is done with a form: its interaction, the text and the name as they were written, the name maybe empty."""


class PersonaForm(discord.ui.Modal):
    """One form of one person, with the `present` persona in it unless that is too long for a form."""

    def __init__(self, submit: Submit, *, present: str, may_save: bool) -> None:
        super().__init__(title=words.form_title(), timeout=OPEN_SECONDS)
        self._submit = submit
        self._text = discord.ui.TextInput[Any](
            custom_id=TEXT_FIELD,
            style=discord.TextStyle.paragraph,
            default=present if 0 < len(present) <= MAX_PERSONA_CHARACTERS else None,
            min_length=1,
            max_length=MAX_PERSONA_CHARACTERS,
        )
        self._name = discord.ui.TextInput[Any](
            custom_id=NAME_FIELD, required=False, max_length=MAX_PERSONA_NAME_CHARACTERS
        )
        self._add(words.form_text_label(), words.form_text_description(), self._text)
        if may_save:
            self._add(words.form_name_label(), words.form_name_description(), self._name)

    def _add(self, label: str, description: str, field: discord.ui.TextInput[Any]) -> None:
        self.add_item(discord.ui.Label(text=label, description=description, component=field))

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        """Hand over what was written."""
        speak(interaction.locale)
        await self._submit(interaction, self._text.value, self._name.value)

    async def on_error(self, interaction: discord.Interaction[Any], error: Exception, _item: Any = None, /) -> None:
        """Answer a form that failed with one sentence."""
        await fail(interaction, "a persona form", error)
