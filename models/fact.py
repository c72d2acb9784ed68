"""What a kind of fact is, and the families of facts that share their wordings.

Owns the form only. Which facts there are is models.facts'.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from models.draw import Draw


@dataclass(frozen=True)
class Fact:
    """One kind of fact: {v} stands for its value, {k} for what is being told, such as the pet's kind."""

    value: Callable[[Draw], str]
    tell: tuple[str, ...]
    noted: str
    ask: tuple[str, ...]
    answer: str
    unknown: str
    key: Callable[[Draw], str] | None = None
    others: str | None = None
    """The answer about somebody else, named {n}; None where nobody asks."""
    ask_others: tuple[str, ...] = ()


def favourite(things: tuple[str, ...], of: str) -> Fact:
    """Make a fact about the user's favourite something."""
    return Fact(
        value=lambda draw: draw.invented() if draw.chance(0.2) else draw.pick(things),
        tell=(
            f"my favourite {of} is {{v}}.",
            f"my favourite {of} is {{v}}.",
            f"my favorite {of} is {{v}}.",
            f"my fav {of} is {{v}}",
            f"{{v}} is my favourite {of}.",
            f"{{v}} is my favorite {of}",
            f"I like {{v}} best of every {of}.",
            f"the {of} I like best is {{v}}.",
            f"the {of} I love most is {{v}}.",
            f"remember that my favourite {of} is {{v}}.",
            f"for me the best {of} is {{v}}.",
            f"by the way, my favourite {of} is {{v}}.",
            f"you should know that my favourite {of} is {{v}}.",
        ),
        noted=f"I will remember that your favourite {of} is {{v}}.",
        ask=(
            f"what is my favourite {of}?",
            f"what is my favourite {of}?",
            f"what's my favorite {of}?",
            f"whats my favourite {of}",
            f"which {of} do I like best?",
            f"what {of} do I like best?",
            f"do you remember my favourite {of}?",
            f"do you know my favorite {of}?",
            f"tell me my favourite {of}.",
            f"which {of} is my favourite?",
            f"what did I say my favourite {of} is?",
            f"what was my favourite {of} again?",
            f"my favourite {of} is what?",
            f"can you tell me my favourite {of}?",
        ),
        answer=f"Your favourite {of} is {{v}}.",
        unknown=f"You have not told me your favourite {of} yet.",
        others=f"{{n}}'s favourite {of} is {{v}}.",
        ask_others=(
            f"what is {{n}}'s favourite {of}?",
            f"which {of} does {{n}} like best?",
            f"whats {{n}}'s favorite {of}",
            f"what {of} does {{n}} like?",
        ),
    )


def possession(of: str, value: Callable[[Draw], str]) -> Fact:
    """Make a fact of the form "my X is Y"."""
    return Fact(
        value=value,
        tell=(
            f"my {of} is {{v}}.",
            f"my {of} is {{v}}.",
            f"my {of}: {{v}}",
            f"{{v}} is my {of}.",
            f"remember that my {of} is {{v}}.",
            f"please remember my {of}: {{v}}",
            f"remember my {of}, it is {{v}}.",
            f"you should know that my {of} is {{v}}.",
            f"by the way, my {of} is {{v}}.",
            f"note that my {of} is {{v}}.",
            f"don't forget that my {of} is {{v}}.",
        ),
        noted=f"I will remember that your {of} is {{v}}.",
        ask=(
            f"what is my {of}?",
            f"what is my {of}?",
            f"what's my {of}?",
            f"whats my {of}",
            f"do you remember my {of}?",
            f"do you know my {of}?",
            f"tell me my {of}.",
            f"what was my {of} again?",
            f"what did I say my {of} is?",
            f"my {of} is what?",
            f"can you tell me my {of}?",
            f"which {of} did I tell you?",
        ),
        answer=f"Your {of} is {{v}}.",
        unknown=f"You have not told me your {of} yet.",
        others=f"{{n}}'s {of} is {{v}}.",
        ask_others=(f"what is {{n}}'s {of}?", f"whats {{n}}'s {of}", f"do you know {{n}}'s {of}?"),
    )


def american(fact: Fact) -> Fact:
    """Add the wordings in American spelling; the replies keep the British one."""

    def both(wordings: tuple[str, ...]) -> tuple[str, ...]:
        spelt = (wording.replace("colour", "color").replace("favourite", "favorite") for wording in wordings)
        return (*wordings, *spelt)

    return replace(fact, tell=both(fact.tell), ask=both(fact.ask), ask_others=both(fact.ask_others))
