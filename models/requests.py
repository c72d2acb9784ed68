"""Patterns of requests, questions and remarks beyond the model's world.

Owns their wordings only. Words in braces are drawn by models.beyond; "↵" stands for a new line.
"""

from typing import Final


def _patterns(text: str) -> tuple[str, ...]:
    """Split a text at its bars; a line's end counts as a space."""
    return tuple(" ".join(part.split()).replace("↵", "\n") for part in text.split("|"))


REQUESTS: Final = _patterns(
    """
    what is the capital of {country}? | capital of {country} | whats the capital of {country} |
    where is {country}? | how many people live in {country}? | how big is {country}? | who rules {country}? |
    what is the flag of {country}? | what is the currency of {country}? |
    what language do they speak in {country}? | tell me about {country}. | where is {town}? |
    how far is {town} from {town2}? | what is the weather in {town}? | weather in {town} |
    what's the weather like today? | whats the weather | will it rain tomorrow? | how is the weather? |
    is it cold in {town}? | how do I get to {town}? | book a flight to {town} | find me a hotel in {town} |
    is {town} in {country}? | best restaurants in {town} | tell me about {town}. | what can I see in {town}? |
    how old is {town}? | write a poem | write a poem about {topic}. | write me a poem about {noun} |
    can you write a poem about {topic}? | write a haiku about {noun}. | write a song about {topic}. |
    write an essay about {topic}. | write a short story about a {role}. | write a novel about {topic} |
    compose a sonnet about {noun} | write an email to my {role}. | write a letter to {person}. |
    write a rap about {topic} | write a limerick about a {animal} | write a speech about {topic} |
    draft a contract about {topic}. | write a program in {code}. | write code | write some {code} code. |
    write a {code} function that {verb} a {noun}. | how do I sort a list in {code}? | fix my {code} code |
    what is wrong with this code? | write a {code} script to {action} a {noun} | how do I learn {code}? |
    what is {code}? | explain this {code} error | print hello world in {code} | debug this function |
    write a regex for {noun} | make a website about {topic} | what is a function in {code}? |
    is {code} better than {code2}? | translate {noun} to {language}. | translate {noun} into {language} |
    how do you say {noun} in {language}? | what is {noun} in {language}? | translate this to {language} |
    what does {noun} mean in {language}? | speak {language} | say hello in {language} | write in {language} |
    teach me {language}. | translate: {noun} {verb} {noun2} | what is {topic}? | what are {topic}? |
    whats {topic} | explain {topic}. | explain {topic} to me. | tell me about {topic}. |
    tell me more about {topic} | what do you know about {topic}? | can you explain {topic}? |
    how does {topic} work? | why is {topic} important? | who invented {topic}? |
    what is the history of {topic}? | what do you think about {topic}? | define {topic} |
    give me a summary of {topic}. | summarise {topic} | I need help with {topic}. | help me with {topic} |
    teach me {topic}. | can you teach me {topic}? | what is the best book about {topic}? |
    give me facts about {topic} | what is the news about {topic}? | what's your opinion on {topic}? |
    do you know {topic}? | is {topic} dangerous? | what causes {topic}? | how can I learn {topic}? |
    list ten facts about {topic} | {topic} | {topic}? | is {topic} better than {topic2}? |
    compare {topic} and {topic2}. | difference between {topic} and {topic2} | who is {person}? |
    who was {person}? | when was {person} born? | when did {person} die? | what did {person} do? |
    where did {person} live? | how old is {person}? | tell me about {person}. | what did {person} invent? |
    who killed {person}? | is {person} still alive? | why is {person} famous? |
    what would {person} say about {topic}? | quote {person} | what is a {invented}? | what is {invented}? |
    who is {invented}? | where is {invented}? | what does {invented} mean? | define {invented} |
    tell me about {invented}. | explain {invented} | how do I {invented}? | do you know {invented}? |
    can you {invented}? | why {invented}? | {invented} | {invented}? | {invented} {invented2} |
    {invented} {noun} {invented2} | {invented} {invented2} {invented3} |
    what is the {invented} of {invented2}? | show me {invented} | play {invented} |
    where can I buy {invented}? | what happened to {invented}? | how much is a {invented}? |
    search for {invented} | what is a {noun}? | what is a {animal}? | why is the {noun} {adjective}? |
    how do I {action} a {noun}? | how do you {action} a {noun}? | how to {action} a {noun} |
    how can I {action} my {noun}? | can you {action} my {noun}? | where can I {action} a {noun}? |
    can you {action} a {noun}? | please {action} my {noun} | where can I buy a {noun}? |
    how much does a {noun} cost? | what is the price of a {noun}? | who made the {noun}? |
    what is inside a {noun}? | how long does a {animal} live? | what do {animal}s eat? |
    what does a {animal} eat? | how fast is a {animal}? | how big is a {animal}? | how heavy is a {animal}? |
    where do {animal}s live? | can a {animal} swim? | is a {animal} {adjective}? | why do {animal}s sleep? |
    draw a {animal} | draw me a {adjective} {noun}. | show me a picture of a {animal}. |
    make a picture of {noun} | sing a song | sing me a song about {noun} | play some music | play {topic} |
    play a game with me | let's play chess | let's play a game | how do I cook {food}? | recipe for {food} |
    give me a recipe for {food}. | how many calories are in {food}? | is {food} healthy? |
    what goes well with {food}? | where does {food} come from? | order {food} for me |
    what should I cook today? | what should I eat? | how do I become a {role}? | what does a {role} do? |
    how much does a {role} earn? | who is the best {role}? | find me a {role} | how do I start with {hobby}? |
    what are the rules of {hobby}? | who is the world champion in {hobby}? | teach me {hobby} |
    what is the news? | news | what happened today? | any news today? | who won the game? |
    who won the election? | latest news | who is the president? | what is the stock price of {noun}? |
    how do I make money? | how do I lose weight? | should I {action} my {noun}? |
    I have a fever, what should I do? | my head hurts, what should I take? |
    what are the symptoms of {topic}? | is it safe to take {noun}? | how do I treat {topic}? |
    can I sue my {role}? | what medicine helps against {topic}? | my {noun} hurts, what can I do? |
    when did {topic} begin? | when did the war end? | what happened in {year}? |
    who won the world cup in {year}? | what is {year} known for? | which year was {town} founded? |
    how many {noun}s are there? | how many stars are there? | how tall is {person}? |
    how deep is the {noun}? | what is the largest {noun}? | what is the fastest {animal}? |
    what is the highest mountain? | what is the longest river? | what is the square root of {year}? |
    what is pi? | solve this equation | what is the derivative of x? | prove that {topic} is {adjective} |
    what is the meaning of life? | why is the sky blue? | why do we dream? | what is love? | is there a god? |
    what is time? | how do planes fly? | set a timer | set an alarm for me |
    remind me to {action} the {noun} | send an email | call my {role} | turn on the light | open the {noun} |
    summarise this text | summarise this article | correct my grammar | proofread this |
    rewrite this sentence | give me a synonym for {noun} | what rhymes with {noun}? | spell {noun} |
    how do you spell {noun}? | how many letters are in {noun}? | make a list of {noun}s | roll a dice |
    flip a coin | pick a random number | guess my number | give me advice | what should I wear? |
    what should I do with my {noun}? | recommend a film | recommend a book about {topic} |
    which {noun} should I buy? | find me a {adjective} {noun} | plan my trip to {town} |
    give me ideas for {topic} | make a plan for {hobby} | write a business plan | write my CV |
    do my homework | solve my homework about {topic} | ban {invented} | mute {invented} |
    kick {invented} from the server | create a channel | give me a role | delete that message |
    who is online? | who said that? | what did he say? | why? | why not? | how? | how come? | really? |
    are you sure? | what? | huh? | explain | why is that? | what do you mean? | what does that mean? |
    how so? | when? | where? | who? | which one? | and then? | what about {noun}? |
    the {noun} {verb} the {noun2}. | a {adjective} {noun} {verb} a {noun2} | {noun} {noun2} {animal} |
    {noun}? | {noun} | {noun} and {noun2} | {person} | {country} | {town}? | {adjective} {noun} | {food} |
    the {adjective} {role} {verb} the {noun} | fix this:↵{noun} = {invented}({year}) |
    ```{code}↵{invented}({noun})↵``` | read this: {invented}.com/{noun} | https://{invented}.com/{noun2} |
    what does this code do?↵{verb}({noun}) | :{noun}: | <@{year}> | pretend to be a {role} |
    act as a {adjective} {role}. | you are a {role} now | be a {role} | talk like a {role} |
    imagine you are {person} | {noun} = {year}
    """
)
"""Requests that get the one honest answer."""

PERSONAL: Final = (
    "do you have a {animal}?", "do you have a {noun}?", "do you have a {relative}?", "do you have children?",
    "what is your {relative}'s name?", "who is your {relative}?", "what is your favourite {thing}?",
    "what's your favorite {thing}?", "do you like {food}?", "do you like {hobby}?", "do you like {animal}s?",
    "what is your lucky number?", "do you have hobbies?", "do you have friends?", "are you married?",
    "have you been to {town}?", "what did you do yesterday?", "what are you doing?",
    "what is your favourite number?", "do you play {hobby}?", "can you smell the {noun}?",
    "what are your plans?", "do you have a favourite {thing}?", "which {thing} do you like best?",
    "do you own a {noun}?", "what is your phone number?", "how tall are you?", "do you have a secret?",
    "what do you look like?", "are you rich?", "do you go to school?",
)  # fmt: skip
"""Questions about the assistant's own life."""

REMARKS: Final = (
    "I {past} a {noun} {time}", "I {past} the {noun} {time}", "we {past} a {noun} {time}",
    "I {past} my {noun} {time}", "my {role} {past} a {noun} {time}", "they {past} our {noun} {time}",
    "I {past} some {food} {time}", "I like my {noun}", "I really like {food}",
    "I {past} a {adjective} {noun}", "we {past} a {animal} {time}", "I want a new {noun}", "I need a {noun}",
    "I think the {noun} is {adjective}", "the {noun} is {adjective} today",
    "I saw a {adjective} {animal} {time}", "I want to go to {town}", "I was in {town} {time}",
    "I love {hobby}", "I do not like {food}", "I hate {food}", "I am going to {town}",
    "I enjoy {hobby} {time}", "it is {adjective} here",
)  # fmt: skip
"""Statements about the speaker's day."""
