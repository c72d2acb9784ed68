"""What everybody in the soak asks."""

import random


def question(chance: random.Random) -> str:
    """Ask what the demonstration model has an answer to."""
    return f"What is {chance.randrange(50)} plus {chance.randrange(50)}?"
