"""What is said about the sampling options and the model of a channel."""

from collections.abc import Sequence

from bot.language import tr


def heading() -> str:
    """Stand above everything `/settings show` shows."""
    return tr("These settings hold here.")


def set_here() -> str:
    """Stand above what was set in this channel."""
    return tr("Set here:")


def set_in_parent() -> str:
    """Stand above what a thread has from its channel."""
    return tr("Set in the channel this thread belongs to:")


def defaults() -> str:
    """Stand above what nobody has set."""
    return tr("Defaults:")


def default_model() -> str:
    """Name the model that answers where none was chosen."""
    return tr("the one that is loaded")


def settings_changed(*, names: str) -> str:
    """Confirm changed settings."""
    return tr("Done, from the next answer on: {names}. `/settings show` shows all values.", names=names)


def settings_reset() -> str:
    """Confirm that all settings of a channel are gone."""
    return tr("Done. Nothing is set in this channel any more; `/settings show` shows what holds now.")


def setting_reset(*, name: str) -> str:
    """Confirm that one setting of a channel is gone."""
    return tr("Done. `{name}` is not set in this channel any more; `/settings show` shows what holds now.", name=name)


def announced_change(*, user_id: int, names: str) -> str:
    """Tell everybody in a channel which settings were changed."""
    return tr(
        "{person} has changed my settings here: {names}. `/settings show` shows them.",
        person=f"<@{user_id}>",
        names=names,
    )


def announced_reset(*, user_id: int) -> str:
    """Tell everybody in a channel that its settings are gone."""
    return tr("{person} has reset my settings here. `/settings show` shows them.", person=f"<@{user_id}>")


def nothing_given() -> str:
    """Answer `/settings set` without any option."""
    return tr("Nothing was changed. Choose at least one option, such as `temperature`, and give it a value.")


def nothing_set() -> str:
    """Say that a channel has no settings of its own."""
    return tr("Nothing is set in this channel, so there is nothing to reset.")


def not_set(*, name: str) -> str:
    """Say that one setting is not set in a channel."""
    return tr("`{name}` is not set in this channel, so there is nothing to reset.", name=name)


def bad_option(*, name: str, minimum: str | None, maximum: str | None) -> str:
    """Say which numbers an option takes."""
    if minimum is None and maximum is None:
        return tr("`{name}` takes a number.", name=name)
    if maximum is None:
        return tr("`{name}` takes a number from {minimum} up.", name=name, minimum=minimum)
    if minimum is None:
        return tr("`{name}` takes a number up to {maximum}.", name=name, maximum=maximum)
    return tr("`{name}` takes a number from {minimum} to {maximum}.", name=name, minimum=minimum, maximum=maximum)


def bad_stop(*, limit: int, characters: int) -> str:
    """Say what stop texts have to be."""
    return tr(
        "`stop` takes 1 to {limit} texts separated by `|`, {characters} characters together at most.",
        limit=limit,
        characters=characters,
    )


def unknown_option() -> str:
    """Say that there is no setting of a name."""
    return tr("There is no such option. `/settings show` shows all there are.")


def unknown_model(*, names: Sequence[str]) -> str:
    """Say which models there are."""
    if not names:
        return tr("There is no such model, and I know no other than the one that is loaded.")
    return tr("There is no such model. There are: {names}.", names=", ".join(f"`{name}`" for name in names))
