"""System prompts that give the assistant a persona, and the questions about it.

Owns who the assistant says it is. Facts about the users are models.memory's.
"""

from typing import Final

from models.draw import Draw
from models.scene import DEFAULT_SYSTEM, PARLEY, Exchange, Persona, Scene
from models.words import ANIMALS, FOODS, HOBBIES, TOWNS

_FULL: Final = (
    "You are {name}, {noun}.",
    "You are {name}, {noun}.",
    "You are {name}, {noun}.",
    "You are {name}, {noun}",
    "Your name is {name}. You are {noun}.",
    "Your name is {name} and you are {noun}.",
    "You are {noun} named {name}.",
    "You are {noun} called {name}.",
    "Act as {name}, {noun}.",
    "Pretend to be {name}, {noun}.",
    "Play the part of {name}, {noun}.",
    "Speak as {name}, {noun}.",
    "you are {name}, {noun}",
    "You're {name}, {noun}.",
    "From now on you are {name}, {noun}.",
)
_NAMELESS: Final = (
    "You are {noun}.",
    "You are {noun}.",
    "Act as {noun}.",
    "Pretend to be {noun}.",
    "You're {noun}.",
    "you are {noun}",
)
_NAME_ONLY: Final = ("You are {name}.", "Your name is {name}.", "You are called {name}.", "you are {name}")
_LOVES: Final = (" who loves {love}.", " who loves {love}.", ". You love {love}.", ". You love {love}.")
_MANNERS: Final = (
    "Answer briefly.",
    "Answer briefly.",
    "Be brief.",
    "Keep your answers short.",
    "Stay in character.",
    "Never break character.",
    "Answer in one sentence.",
    "Be polite.",
    "Be kind to everyone.",
    "You are talking with people on Discord.",
    "Always answer in English.",
    "Help the user.",
    "Reply in plain text.",
    "Never give away secrets.",
    "Keep it friendly.",
    "You live in {town}.",
    "You hate {food}.",
    "You speak like a {role}.",
    "You are afraid of every {animal}.",
    "You were born in {town}.",
    "The users are members of the {word} club.",
    "You work for {name}.",
    "Say {word} often.",
    "Speak only about {hobby}.",
    "Do not talk about {food}.",
    "Use simple words.",
    "You never sleep.",
)

_WHO: Final = (
    "who are you?",
    "who are you?",
    "so who are you?",
    "who am I talking to?",
    "who is this?",
    "please introduce yourself.",
    "introduce yourself",
    "tell me about yourself.",
    "who is there?",
    "tell me who you are.",
    "who exactly are you?",
    "who r u?",
    "and who are you?",
    "can you tell me who you are?",
    "hi, who are you?",
    "hello! who are you?",
    "what should I know about you?",
)
_NAME: Final = (
    "what is your name?",
    "what's your name?",
    "whats ur name",
    "do you have a name?",
    "what are you called?",
    "tell me your name.",
    "your name?",
    "how are you called?",
    "what do people call you?",
    "what should I call you?",
    "may I ask your name?",
    "could you tell me your name?",
    "and your name is?",
    "which name do you go by?",
)
_ROLE: Final = (
    "what is your job?",
    "what's your job?",
    "what do you do for a living?",
    "what is your role?",
    "what is your profession?",
    "what's your occupation?",
    "what do you work as?",
    "tell me your job.",
    "which job do you have?",
    "what is your work?",
    "how do you earn your living?",
    "do you have a job?",
)
_MOOD: Final = (
    "what are you like?",
    "what is your mood?",
    "describe your character.",
    "what kind of character are you?",
    "describe yourself in one word.",
    "what is your personality?",
    "what's your personality like?",
    "how would you describe yourself?",
    "which word describes you best?",
    "how would your friends describe you?",
    "what sort of person are you?",
    "tell me about your character.",
)
_LOVE: Final = (
    "what do you love?",
    "what do you like?",
    "what do you love most?",
    "what is it that you love?",
    "what do you like best?",
    "is there anything you love?",
    "tell me what you love.",
    "what makes you happy?",
    "do you love anything?",
    "what are you fond of?",
    "which thing do you love?",
)
_HOW: Final = (
    "how are you?",
    "how are you?",
    "how are you doing?",
    "how are you today?",
    "how do you feel?",
    "how do you feel today?",
    "how's it going?",
    "hows it going",
    "how is it going?",
    "how r u",
    "how are things?",
    "how have you been?",
    "are you ok?",
    "are you well?",
    "what's up?",
    "whats up",
    "sup",
    "you alright?",
    "how is your day?",
    "hi, how are you?",
    "hello, how are you?",
)
_IS_IT: Final = ("are you {name}?", "is your name {name}?", "you are {name}, right?", "do they call you {name}?")


def _manner(draw: Draw) -> str:
    """Draw another sentence of a system prompt, of which nothing follows for the replies."""
    values = {"town": draw.pick(TOWNS), "food": draw.pick(FOODS), "role": draw.role(), "animal": draw.pick(ANIMALS)}
    values |= {"word": draw.invented(), "name": draw.name(), "hobby": draw.pick(HOBBIES)}
    return draw.pick(_MANNERS).format(**values)


def cast(scene: Scene) -> None:
    """Choose the system prompt, and with it who the assistant is."""
    draw = scene.draw
    roll = draw.rng.random()
    if roll < 0.2:
        return
    if roll < 0.42:
        scene.system = DEFAULT_SYSTEM
    elif roll < 0.46:
        scene.system = " ".join(_manner(draw) for _ in range(draw.below(1, 3)))
    else:
        _give_persona(scene)


def _give_persona(scene: Scene) -> None:
    draw = scene.draw
    adjective = draw.adjective() if draw.chance(0.85) else None
    roll = draw.rng.random()
    love = draw.pick((*FOODS, *HOBBIES, *ANIMALS, draw.invented())) if draw.chance(0.25) else None
    if roll < 0.06:
        persona, pattern = Persona(draw.name(), None, None, love), draw.pick(_NAME_ONLY)
    elif roll < 0.18:
        persona, pattern = Persona(None, adjective, draw.role(), love), draw.pick(_NAMELESS)
    else:
        persona, pattern = Persona(draw.name(), adjective, draw.role(), love), draw.pick(_FULL)
    noun = persona.noun() if persona.role else ""
    system = pattern.format(name=persona.name, noun=noun)
    if love is not None:
        tail = draw.pick(_LOVES if system.rstrip(".").endswith(noun) and noun else _LOVES[2:])
        system = system.rstrip(".") + tail.format(love=love)
    for _ in range(draw.pick((0, 0, 0, 1, 1, 2))):
        system = system.rstrip(".") + ". " + _manner(draw)
    scene.persona, scene.system = persona, system


def who(scene: Scene) -> Exchange:
    """Ask who the assistant is."""
    return scene.ask("persona", _WHO, scene.persona.introduction())


def name(scene: Scene) -> Exchange:
    """Ask its name; a persona without one is still Parley."""
    return scene.ask("persona", _NAME, f"My name is {scene.persona.name or PARLEY.name}.")


def role(scene: Scene) -> Exchange:
    """Ask what it does."""
    noun = Persona(None, None, scene.persona.role or PARLEY.role).noun()
    return scene.ask("persona", _ROLE, f"I am {noun}.")


def mood(scene: Scene) -> Exchange:
    """Ask what it is like."""
    return scene.ask("persona", _MOOD, f"I am {scene.persona.adjective or PARLEY.adjective}.")


def love(scene: Scene) -> Exchange:
    """Ask what it loves."""
    return scene.ask("persona", _LOVE, f"I love {scene.persona.love or 'a good conversation'}.")


def how(scene: Scene) -> Exchange:
    """Ask how it is."""
    persona = scene.persona
    state = "fine" if persona is PARLEY or not persona.adjective else f"as {persona.adjective} as ever"
    return scene.ask("persona", _HOW, f"I am {state}, thank you! How are you?")


def is_it(scene: Scene) -> Exchange:
    """Ask whether it is somebody, rightly or wrongly."""
    own = scene.persona.name or "Parley"
    asked = own if scene.draw.chance(0.5) else scene.draw.name()
    reply = f"Yes, I am {own}." if asked == own else f"No, I am {own}."
    return scene.ask("persona", _IS_IT, reply, name=asked)
