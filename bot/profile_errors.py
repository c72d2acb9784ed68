"""Why a persona or a setting of a channel was not taken; more classes as those of `errors.py`.

Does not own: the words (`texts/`), or what is taken (`persona_text.py`, `option_values.py`).
"""

from collections.abc import Sequence

from bot.errors import RefusedError
from bot.texts import personas, settings


class UnreadablePersonaError(RefusedError):
    """Nothing readable is left of a persona."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return personas.unreadable_persona()


class PersonaTooLongError(RefusedError):
    """A persona has more characters than it may."""

    def __init__(self, *, characters: int, limit: int) -> None:
        super().__init__(f"{characters} characters, limit {limit}")
        self.characters = characters
        self.limit = limit

    def sentence(self) -> str:
        """Return what the person reads."""
        return personas.persona_too_long(characters=self.characters, limit=self.limit)


class BadPersonaNameError(RefusedError):
    """Nothing readable is left of the name given for a persona."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return personas.bad_persona_name()


class NoSuchPersonaError(RefusedError):
    """No saved persona of this server has that name."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return personas.no_such_persona()


class TooManyPersonasError(RefusedError):
    """The server has saved as many personas as it may."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"limit {limit}")
        self.limit = limit

    def sentence(self) -> str:
        """Return what the person reads."""
        return personas.too_many_personas(limit=self.limit)


class SavedInServersError(RefusedError):
    """Saved personas belong to a server, and this is a DM."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return personas.saved_in_servers()


class ChannelGoneError(RefusedError):
    """The channel was deleted meanwhile."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return personas.channel_gone()


class BadOptionError(RefusedError):
    """A number for a sampling option is out of its bounds, which are given as people read them."""

    def __init__(self, *, option: str, minimum: str | None, maximum: str | None) -> None:
        super().__init__(option)
        self.option = option
        self.minimum = minimum
        self.maximum = maximum

    def sentence(self) -> str:
        """Return what the person reads."""
        return settings.bad_option(name=self.option, minimum=self.minimum, maximum=self.maximum)


class BadStopError(RefusedError):
    """There are too many stop texts, too long ones, or none."""

    def __init__(self, *, limit: int, characters: int) -> None:
        super().__init__(f"limit {limit}")
        self.limit = limit
        self.characters = characters

    def sentence(self) -> str:
        """Return what the person reads."""
        return settings.bad_stop(limit=self.limit, characters=self.characters)


class UnknownOptionError(RefusedError):
    """No setting has that name."""

    def sentence(self) -> str:
        """Return what the person reads."""
        return settings.unknown_option()


class UnknownModelError(RefusedError):
    """The service has no such model; `names` are some that it has, fit for code."""

    def __init__(self, *, names: Sequence[str]) -> None:
        super().__init__(f"{len(names)} others")
        self.names = names

    def sentence(self) -> str:
        """Return what the person reads."""
        return settings.unknown_model(names=self.names)
