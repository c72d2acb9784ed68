"""The kinds of facts users tell about themselves: how each is told, asked for and answered.

Owns the wordings only. Who has told what in a conversation is models.memory's.
"""

from typing import Final

from models.draw import Draw
from models.fact import Fact, american, favourite, possession
from models.words import (
    ANIMALS,
    COLOURS,
    DAYS,
    DRINKS,
    FAVOURITES,
    FOODS,
    HOBBIES,
    MONTHS,
    PETS,
    RELATIVES,
    ROLES,
    TOWNS,
    WORDS,
)

_NAME: Final = Fact(
    value=lambda draw: draw.name(),
    tell=(
        "my name is {v}.",
        "my name is {v}.",
        "my name is {v}.",
        "my name's {v}.",
        "hi, my name is {v}.",
        "hello, my name is {v}.",
        "hello! my name is {v}.",
        "I am {v}.",
        "I'm {v}.",
        "hi, I'm {v}.",
        "hi I am {v}",
        "hello, I am {v}.",
        "hey, I'm {v}!",
        "call me {v}.",
        "please call me {v}.",
        "you can call me {v}.",
        "they call me {v}.",
        "people call me {v}.",
        "{v} is my name.",
        "{v} here.",
        "this is {v}.",
        "I go by {v}.",
        "the name is {v}.",
        "name's {v}",
        "remember that my name is {v}.",
    ),
    noted="Nice to meet you, {v}!",
    ask=(
        "what is my name?",
        "what is my name?",
        "what's my name?",
        "whats my name",
        "do you know my name?",
        "do you remember my name?",
        "who am I?",
        "who am i",
        "tell me my name.",
        "what am I called?",
        "say my name.",
        "can you tell me my name?",
        "what did I say my name was?",
        "what was my name again?",
        "my name is what?",
        "do you still know my name?",
        "remember my name?",
        "how am I called?",
        "do you know who I am?",
        "you remember who i am?",
        "what do you call me?",
    ),
    answer="Your name is {v}.",
    unknown="I do not know your name yet. What is it?",
)

_PET: Final = Fact(
    key=lambda draw: draw.pick(PETS),
    value=lambda draw: draw.name(),
    tell=(
        "I have a {k} called {v}.",
        "I have a {k} named {v}.",
        "I've got a {k} called {v}.",
        "my {k} is called {v}.",
        "my {k} is named {v}.",
        "my {k}'s name is {v}.",
        "the name of my {k} is {v}.",
        "{v} is my {k}.",
        "I own a {k} called {v}.",
        "we have a {k} named {v}.",
        "at home I have a {k} called {v}.",
        "I call my {k} {v}.",
        "my pet is a {k} called {v}.",
    ),
    noted="I will remember that your {k} is called {v}.",
    ask=(
        "what is my {k} called?",
        "what is my {k} called?",
        "what's my {k} called?",
        "what is my {k}'s name?",
        "whats the name of my {k}",
        "what is the name of my {k}?",
        "how is my {k} called?",
        "do you remember my {k}'s name?",
        "tell me the name of my {k}.",
        "what did I call my {k}?",
        "do you know what my {k} is called?",
        "my {k} is called what?",
        "what name does my {k} have?",
    ),
    answer="Your {k} is called {v}.",
    unknown="You have not told me what your {k} is called.",
    others="{n}'s {k} is called {v}.",
    ask_others=("what is {n}'s {k} called?", "what's the name of {n}'s {k}?", "how is {n}'s {k} called?"),
)

_RELATIVE: Final = Fact(
    key=lambda draw: draw.pick(RELATIVES),
    value=lambda draw: draw.name(),
    tell=(
        "my {k} is called {v}.",
        "my {k}'s name is {v}.",
        "my {k} is named {v}.",
        "{v} is my {k}.",
        "the name of my {k} is {v}.",
        "I have a {k} called {v}.",
        "I have a {k} named {v}.",
        "my {k} goes by {v}.",
        "remember that my {k} is called {v}.",
        "people call my {k} {v}.",
    ),
    noted="I will remember that your {k} is called {v}.",
    ask=_PET.ask,
    answer="Your {k} is called {v}.",
    unknown="You have not told me what your {k} is called.",
    others=_PET.others,
    ask_others=_PET.ask_others,
)

_TOWN: Final = Fact(
    value=lambda draw: draw.pick(TOWNS) if draw.chance(0.6) else draw.name(),
    tell=(
        "I live in {v}.",
        "I live in {v}.",
        "I'm from {v}.",
        "I am from {v}.",
        "I come from {v}.",
        "my home is in {v}.",
        "my town is {v}.",
        "my home town is {v}.",
        "I'm living in {v}.",
        "we live in {v}.",
        "I moved to {v}.",
        "my city is {v}.",
        "my house is in {v}.",
    ),
    noted="I will remember that you live in {v}.",
    ask=(
        "where do I live?",
        "where do I live?",
        "where am I from?",
        "which town do I live in?",
        "what is my home town?",
        "what town am I from?",
        "what city do I live in?",
        "where is my home?",
        "do you remember where I live?",
        "do you know where I live?",
        "where do i come from",
        "tell me where I live.",
        "where did I say I live?",
        "in which town do I live?",
    ),
    answer="You live in {v}.",
    unknown="You have not told me where you live yet.",
    others="{n} lives in {v}.",
    ask_others=("where does {n} live?", "where is {n} from?", "which town does {n} live in?", "what is {n}'s town?"),
)

_JOB: Final = Fact(
    value=lambda draw: draw.pick(ROLES) if draw.chance(0.85) else draw.invented(),
    tell=(
        "I work as a {v}.",
        "I work as a {v}.",
        "I am working as a {v}.",
        "my job is {v}.",
        "by profession I am a {v}.",
        "I earn my living as a {v}.",
        "I have a job as a {v}.",
        "my profession is {v}.",
        "my work is that of a {v}.",
        "I'm a {v} by trade.",
        "I got a job as a {v}.",
    ),
    noted="I will remember that your job is {v}.",
    ask=(
        "what is my job?",
        "what's my job?",
        "what do I work as?",
        "what do I do for a living?",
        "do you remember my job?",
        "which job do I have?",
        "what is my profession?",
        "tell me what my job is.",
        "what did I say my job is?",
        "do you know what I do for a living?",
        "how do I earn my living?",
    ),
    answer="Your job is {v}.",
    unknown="You have not told me your job yet.",
)

_AGE: Final = Fact(
    value=lambda draw: str(draw.number(5, 99)),
    tell=(
        "I am {v} years old.",
        "I'm {v} years old.",
        "I am {v}.",
        "I'm {v}",
        "my age is {v}.",
        "I turned {v} this year.",
        "I just turned {v}.",
        "I have been on this earth for {v} years.",
        "age {v} here.",
        "I am aged {v}.",
        "I was born {v} years ago.",
    ),
    noted="I will remember that you are {v} years old.",
    ask=(
        "how old am I?",
        "how old am I?",
        "what is my age?",
        "what's my age?",
        "do you remember how old I am?",
        "do you know my age?",
        "tell me how old I am.",
        "how old did I say I am?",
        "how many years old am I?",
        "my age is what?",
        "whats my age",
    ),
    answer="You are {v} years old.",
    unknown="You have not told me how old you are.",
    others="{n} is {v} years old.",
    ask_others=("how old is {n}?", "what is {n}'s age?", "do you know how old {n} is?"),
)


def _word(draw: Draw) -> str:
    return draw.pick(WORDS) if draw.chance(0.4) else draw.invented()


def _number(draw: Draw) -> str:
    return str(draw.number(0, 99) if draw.chance(0.75) else draw.number(100, 9999))


FACTS: Final = {
    "name": _NAME,
    "pet": _PET,
    "relative": _RELATIVE,
    "town": _TOWN,
    "job": _JOB,
    "age": _AGE,
    "colour": american(favourite(COLOURS, "colour")),
    "food": favourite(FOODS, "food"),
    "drink": favourite(DRINKS, "drink"),
    "animal": favourite(ANIMALS, "animal"),
    "day": favourite(DAYS, "day"),
    "month": favourite(MONTHS, "month"),
    "favourite number": american(possession("favourite number", _number)),
    "lucky number": possession("lucky number", _number),
    "hobby": possession("hobby", lambda draw: draw.pick(HOBBIES)),
    "birthday": possession("birthday month", lambda draw: draw.pick(MONTHS)),
    "secret word": possession("secret word", _word),
    "password": possession("password", _word),
    "code": possession("code", _number),
    "nickname": possession("nickname", lambda draw: draw.name()),
    "house number": possession("house number", _number),
    "room number": possession("room number", _number),
    "team": possession("team", lambda draw: draw.name()),
}
"""The kinds of facts most likely told."""

COMMON: Final = ("name", "pet", "town", "colour", "lucky number", "food", "age", "hobby", "job", "relative")
"""The kinds most people tell first."""


FAVOURITE_FACTS: Final = {f"favourite {of}": favourite(WORDS, of) for of in FAVOURITES}
"""Favourites of every other kind, by key."""
