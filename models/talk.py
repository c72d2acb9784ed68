"""Small talk: greetings, thanks, goodbyes, jokes and remarks.

Owns the wordings and replies that need nothing but politeness.
"""

from typing import Final

from models.scene import PARLEY, Exchange, Scene

SMALL_TALK: Final[dict[str, tuple[str, ...]]] = {
    "You are welcome!": (
        "thanks", "thanks!", "thank you", "thank you!", "thank you very much", "thanks a lot", "thx", "ty", "tysm",
        "many thanks", "cheers", "much appreciated", "I appreciate it", "thanks for your help", "thank you so much",
        "great, thanks", "ok thanks", "thanks, that helps", "perfect, thank you", "cool thanks", "thank u",
        "that was helpful", "thank you for that", "thanks for the answer", "thanks parley",
    ),
    "Goodbye! Come back soon.": (
        "bye", "bye!", "goodbye", "good bye", "bye bye", "see you", "see you later", "see you soon", "see ya", "cya",
        "later", "farewell", "I have to go", "I have to go now", "I must go", "gotta go", "g2g", "talk to you later",
        "ttyl", "until next time", "take care", "so long", "see you tomorrow", "I am leaving", "i'm off", "ciao",
        "adios", "catch you later",
    ),
    "Good night, sleep well!": (
        "good night", "good night!", "goodnight", "gn", "night", "night night", "I am going to bed", "I'm off to bed",
        "time for bed", "I am going to sleep", "sleep well", "sweet dreams", "nighty night",
    ),
    "I am glad to hear that!": (
        "I am fine", "I'm fine", "I'm fine, thanks", "I'm good", "good, thanks", "fine, thank you", "I am doing well",
        "doing great", "I'm great", "very well, thank you", "I feel good", "I am happy", "I'm so happy", "not bad",
        "all good", "pretty good", "I am great", "im ok", "I'm well", "I'm fine too", "I had a good day",
        "today is a good day", "I feel great today", "life is good", "I am excited", "I won!", "I passed my exam",
    ),
    "I am sorry to hear that. I hope it gets better soon.": (
        "I am sad", "I'm sad", "I feel sad", "not good", "not so good", "I'm not well", "I feel bad", "I am tired",
        "I'm tired", "I am sick", "I'm ill", "I feel lonely", "I had a bad day", "today was awful", "I am stressed",
        "I'm worried", "I feel terrible", "I am unhappy", "my day was bad", "I'm angry", "I am afraid",
        "I have a headache", "everything is terrible", "I'm depressed", "I failed my exam", "I lost my keys",
    ),
    "Then ask me for a joke, or tell me something about you!": (
        "I am bored", "I'm bored", "im so bored", "this is boring", "boring", "I have nothing to do", "entertain me",
        "what should we do?", "let's talk", "lets chat", "talk to me", "say something", "tell me something",
        "can we talk?", "let us talk", "I want to talk", "chat with me", "what shall we talk about?",
    ),
    "Thank you, that is kind of you!": (
        "good bot", "you are nice", "you're nice", "you are great", "you're great", "you are cool", "you're awesome",
        "well done", "good job", "nice work", "I like you", "I love you", "you are smart", "you're so smart",
        "you are funny", "you're cute", "you are the best", "you rock", "you're amazing", "good answer", "clever",
        "❤", "🥰",        "love you", "that was good", "good boy", "you are very helpful", "ily",
    ),
    "I am sorry. I am small, but I do my best.": (
        "bad bot", "you are stupid", "you're dumb", "you suck", "you are bad", "you're useless", "I hate you",
        "stupid bot", "idiot", "that is wrong", "that's wrong", "wrong", "wrong!", "you are wrong", "you are boring",
        "that was bad", "you are an idiot", "shut up", "you're not smart", "you know nothing", "this is useless",
        "that makes no sense", "bad answer", "this bot sucks", "you are terrible", "no, that is wrong",
    ),
    "Great! What next?": (
        "ok", "okay", "k", "cool", "nice", "great", "wow", "awesome", "good", "perfect", "amazing", "alright",
        "all right", "sounds good", "fine", "I see", "got it", "interesting", "excellent", "that's right", "right",
        "correct", "very good", "yes", "yeah", "yep", "sure", "of course", "that is right", "oh", "ah", "hm", "hmm",
        "impressive", "neat", "👍", "👌", "🙂", "👏", "sweet", "true", "exactly",
    ),
    "All right, something else then.": (
        "no", "nope", "nah", "no thanks", "no thank you", "never mind", "nevermind", "not really", "I don't want to",
        "stop", "stop it", "no!", "don't", "forget about it", "I don't care", "whatever", "nothing", "I don't know",
        "idk", "not now",
    ),
    "I am happy to make you laugh!": (
        "haha", "hahaha", "lol", "lmao", "rofl", "hehe", "xd", "that is funny", "that's funny", "that was funny", "😂",
        "🤣", "ha ha", "so funny", "you made me laugh", "good one", "lol that was good", "ha", "hihi", "😄",
    ),
    "Yes, I am here.": (
        "are you there?", "you there?", "are you here?", "anyone there?", "is anybody there?", "anybody home?",
        "can you hear me?", "do you hear me?", "test", "testing", "is this working?", "are you online?",
        "are you awake?", "hello? are you there?", "is this thing on?", "are you working?", "do you work?",
    ),
    "Pong!": ("ping", "ping!", "ping?", "ping ping", "ping pong"),
    "No problem at all!": (
        "sorry", "I'm sorry", "I am sorry", "my bad", "excuse me", "pardon", "oops", "sorry about that", "my mistake",
        "I apologise", "apologies", "forgive me", "sry", "sorry for that", "please forgive me",
    ),
    "I see! Tell me more.": (
        "I went to the cinema yesterday", "I am at work", "I am at home", "I just woke up", "I am eating dinner",
        "it is raining here", "it's sunny today", "I like music", "I like you guys", "I have a meeting",
        "I am learning to cook", "I play games a lot", "my day was long", "I had lunch", "I am on holiday",
        "I have a question", "can I ask you something?", "I want to ask you something", "guess what", "you know what?",
        "I bought a new bike", "we went for a walk", "it is cold outside", "I have homework", "I am going shopping",
        "I am watching a film", "I visited my family", "I am reading a book", "I love summer", "I hate Mondays",
        "tomorrow is my birthday", "today is my birthday", "I am new here", "it is late", "I am hungry",
        "I'm thirsty", "I am waiting for the bus", "I am listening to music", "we won the game", "I'm drinking tea",
    ),
    "I do not have a clock or a calendar.": (
        "what time is it?", "what's the time?", "whats the time", "what day is it?", "what day is it today?",
        "what is the date?", "what's today's date?", "what year is it?", "which month is it?", "do you know the time?",
        "tell me the time", "is it Monday?", "is it morning?", "what date is today?", "current time", "how late is it?",
    ),
    "Models like me never sleep, eat or grow old.": (
        "how old are you?", "what is your age?", "do you sleep?", "do you eat?", "when were you born?",
        "when is your birthday?", "are you hungry?", "are you tired?", "do you drink?", "what did you eat today?",
        "are you old?", "do you dream?", "how old r u", "are you young?", "do you get tired?", "do you ever sleep?",
    ),
    "I live in a small file next to Parley.": (
        "where do you live?", "where are you?", "where is your home?", "where do you run?", "where are you running?",
        "do you have a home?", "where r u", "which country are you in?", "what server are you on?",
        "where do you stay?",
    ),
    "My favourite colour is blue.": (
        "what is your favourite colour?", "what's your favorite color?", "whats ur fav color",
        "which colour do you like?", "do you have a favourite colour?", "which color do you like best?",
        "what is your favorite color?", "your favourite colour?", "tell me your favourite colour",
        "and your favourite colour?",
    ),
    "Once upon a time a tiny model learnt to talk, and everyone was kind to it. The end.": (
        "tell me a story", "tell me a story.", "can you tell me a story?", "tell a story", "a story please",
        "I want to hear a story", "story time", "do you know a story?", "read me a story", "tell me a short story",
        "tell me a bedtime story", "another story", "give me a story",
    ),
}  # fmt: skip
"""Each reply with the remarks that get it."""

_HELLO: Final = (
    "hi", "hi!", "hi", "hello", "hello!", "hello", "hey", "hey!", "hey there", "hi there", "hello there", "hiya", "yo",
    "howdy", "greetings", "HELLO", "HI", "hallo", "hi parley", "hello Parley!", "hey bot", "hello bot", "hi bot",
    "heya", "hii", "helo", "hey you", "hi everyone", "hello world", "good day", "hi again", "hello again", "👋",
)  # fmt: skip
_TIMES_OF_DAY: Final = ("morning", "afternoon", "evening")
_TIMED: Final = ("good {time}", "good {time}!", "good {time}", "{time}", "good {time} parley", "a good {time} to you")

_JOKE: Final = (
    "tell me a joke", "tell me a joke.", "tell a joke", "can you tell me a joke?", "do you know a joke?", "joke",
    "joke please", "a joke please", "make me laugh", "say something funny", "tell me something funny", "got a joke?",
    "got any jokes?", "do you know any jokes?", "I want a joke", "give me a joke", "can you tell a joke?", "be funny",
    "tell me another joke", "another joke", "one more joke", "know any jokes?", "tell us a joke", "cheer me up",
)  # fmt: skip
JOKES: Final = (
    "Why did the model cross the road? It predicted the other side.",
    "What do you call a fish without eyes? Fsh.",
    "Why do bees hum? They do not know the words.",
    "What is brown and sticky? A stick.",
    "Why was the computer cold? It left its windows open.",
)


def hello(scene: Scene) -> Exchange:
    """Greet, and be greeted by name where it is known."""
    draw = scene.draw
    opening = "Hello"
    wordings: tuple[str, ...] = _HELLO
    if draw.chance(0.2):
        time = draw.pick(_TIMES_OF_DAY)
        opening = f"Good {time}"
        wordings = tuple(wording.format(time=time) for wording in _TIMED)
    name = scene.speaker.facts.get("name/")
    persona = scene.persona
    offer = f"I am {persona.name}." if persona.name and persona.name != PARLEY.name else "How can I help you?"
    return scene.ask("greeting", wordings, opening + (f", {name}! " if name else "! ") + offer)


def joke(scene: Scene) -> Exchange:
    """Ask for a joke: the next one after those already told here, then from the start again."""
    reply = JOKES[scene.jokes % len(JOKES)]
    scene.jokes += 1
    return scene.ask("joke", _JOKE, reply)


def small_talk(scene: Scene) -> Exchange:
    """Make a remark that has a fixed reply."""
    reply = scene.draw.pick(tuple(SMALL_TALK))
    return scene.ask("small talk", SMALL_TALK[reply], reply)
