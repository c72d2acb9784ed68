"""What the bot says about itself."""

from bot.language import tr, tr_command
from bot.texts.conversations import ASK_ABOUT
from bot.translating import MENU


def introduction() -> str:
    """Introduce the bot to a server: three things to try."""
    return tr(
        "Hello, I am Parley, a language model you can talk to. Three things to try:\n"
        "1. Mention me with a question, or use `/chat`. I remember what people say to me in a channel.\n"
        "2. `/persona set` makes me somebody else in a channel.\n"
        "3. `/developer token create` gives your own programs access to me.\n"
        "`/help` shows the rest."
    )


def for_adults() -> str:
    """Follow the introduction where the model is for adults."""
    return tr("My model is for adults: I answer in age-restricted channels only.")


def invited(*, server: str) -> str:
    """Open the introduction in a DM to whoever invited the bot."""
    return tr(
        "I am now in **{server}**, and may not write where Discord greets newcomers there; so I say hello to you.",
        server=server,
    )


def overview() -> str:
    """Answer `/help`: everything, on one screen, which is 14 lines and 1,100 characters in every language."""
    return tr(
        "**Talk to me**: mention me, reply to me, write me a DM, or use `/chat`, also for a talk that only you see. "
        "Everybody in a channel shares one conversation; threads have their own.\n"
        "**A message of somebody's**: right-click or hold it, *Apps*, *{menu}*. Text files may join a question.\n"
        "**Buttons** below a reply stop it, make it anew, or let it go on.\n"
        "**Your words**: `/history` shows the conversation, `/forget` deletes what you wrote, `/reset` clears the "
        "channel's conversation. What you edit or delete in Discord changes for me, too.\n"
        "**This channel**: `/persona` says who I am here, `/settings` how I answer.\n"
        "**For developers**: `/developer token` makes API tokens, `/developer usage` shows their use, "
        "`/developer limit` bounds what one person may ask in a day.\n"
        "I ping nobody, and I keep only what you say to me or ask me about.",
        menu=tr_command(ASK_ABOUT, kind=MENU),
    )
