"""What is said about personas: which one holds, what was changed, what a persona and its name have to be."""

from bot.language import number, tr, tr_count


def own_persona() -> str:
    """Stand above the persona of this channel."""
    return tr("This is my persona in this channel:")


def own_named_persona(*, name: str) -> str:
    """Stand above the persona of this channel that was saved under a name once."""
    return tr("**{name}** is my persona in this channel:", name=name)


def parent_persona() -> str:
    """Stand above the persona that a thread has from its channel."""
    return tr("This is my persona here; this thread has it from the channel it belongs to:")


def parent_named_persona(*, name: str) -> str:
    """Stand above the saved persona that a thread has from its channel."""
    return tr("**{name}** is my persona here; this thread has it from the channel it belongs to:", name=name)


def default_persona() -> str:
    """Stand above the default persona."""
    return tr("This is my default persona. Nobody has given me another one here:")


def no_default_persona() -> str:
    """Say that there is no persona at all."""
    return tr("I have no persona here. `/persona set` gives me one.")


def file_description() -> str:
    """Describe the file with a long persona to screen readers."""
    return tr("The persona of this channel, as text")


def persona_set() -> str:
    """Confirm a new persona."""
    return tr("Done. This is my persona here from the next answer on; the conversation so far stays.")


def persona_set_and_saved(*, name: str) -> str:
    """Confirm a new persona that was saved as well."""
    return tr(
        "Done. This is my persona here from the next answer on, and it is saved as **{name}**; the conversation so far "
        "stays.",
        name=name,
    )


def persona_set_but_not_saved(*, reason: str) -> str:
    """Confirm a new persona that could not be saved, and say why."""
    return tr("This is my persona here from the next answer on. It is not saved under a name: {reason}", reason=reason)


def persona_cleared() -> str:
    """Confirm that a channel's persona is gone."""
    return tr("Done. The persona of this channel is gone; `/persona show` shows which one holds now.")


def nothing_to_clear() -> str:
    """Say that a channel has no persona of its own."""
    return tr("This channel has no persona of its own.")


def persona_saved(*, name: str) -> str:
    """Confirm that the channel's persona was saved."""
    return tr("Saved as **{name}**. `/persona set` with this name gives it to any channel of this server.", name=name)


def nothing_to_save() -> str:
    """Say that there is no persona to be saved."""
    return tr("There is no persona here to save. Give me one with `/persona set` first.")


def persona_deleted(*, name: str) -> str:
    """Confirm that a saved persona is gone."""
    return tr("**{name}** is no longer saved. Channels that have this persona keep it.", name=name)


def announced_set(*, user_id: int) -> str:
    """Tell everybody in a channel about a new persona, without its text."""
    return tr("{person} has given me a new persona here. `/persona show` shows it.", person=f"<@{user_id}>")


def announced_clear(*, user_id: int) -> str:
    """Tell everybody in a channel that its persona is gone."""
    return tr(
        "{person} has taken away the persona I had here. `/persona show` shows which one I have now.",
        person=f"<@{user_id}>",
    )


def form_title() -> str:
    """Name the form; at most 45 characters in every language."""
    return tr("Who am I in this channel?")


def form_text_label() -> str:
    """Name the form's large field; at most 45 characters in every language."""
    return tr("Persona")


def form_text_description() -> str:
    """Explain the form's large field; at most 100 characters in every language."""
    return tr("Who I am, how I speak, what I know. Everybody here can read it.")


def form_name_label() -> str:
    """Name the form's small field; at most 45 characters in every language."""
    return tr("Save it under a name")


def form_name_description() -> str:
    """Explain the form's small field; at most 100 characters in every language."""
    return tr("If you want to use it in other channels of this server, too")


def unreadable_persona() -> str:
    """Say that a persona shows nothing."""
    return tr("That persona holds nothing readable. Please write at least a word.")


def persona_too_long(*, characters: int, limit: int) -> str:
    """Say that a persona is too long."""
    return tr(
        "That persona has {characters} characters, and the most is {limit}. Please shorten it.",
        characters=number(characters),
        limit=number(limit),
    )


def bad_persona_name() -> str:
    """Say that a name is unusable."""
    return tr("That name holds nothing readable. Please use letters or digits, at most 32.")


def no_such_persona() -> str:
    """Say that no saved persona has a name."""
    return tr("This server has no saved persona of that name. Type a part of the name and choose from the list.")


def too_many_personas(*, limit: int) -> str:
    """Say that a server has saved all the personas it may."""
    return tr_count(
        "This server has saved {count} persona, which is the most. Delete it first, with `/persona delete`.",
        "This server has saved {count} personas, which is the most. Delete one first, with `/persona delete`.",
        limit,
    )


def saved_in_servers() -> str:
    """Say that there are no saved personas in a DM."""
    return tr("Personas are saved in servers. Here, use `/persona set` without a name and write one.")


def channel_gone() -> str:
    """Say that a channel was deleted while its form was open."""
    return tr("This channel is gone, so nothing was changed.")
