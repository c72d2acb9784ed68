"""Which examples there are, and how a file becomes what a person copies.

Owns: the languages, the dialects' examples with their titles, putting this service's address and model into a file.
Does not own: the examples themselves, which are the files beside this module. They run as they stand against
`make run`; the page, the start panel and the tests all take them from here.
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import Final

ADDRESS: Final = "http://127.0.0.1:8080"
MODEL: Final = "parley-demo"
"""What the files say where the page says its own."""

TOKEN_VARIABLE: Final = "PARLEY_TOKEN"  # noqa: S105 - the name of a variable
"""The environment variable every example reads the API token from."""

_ESCAPED: Final = {ord(character): f"\\u{ord(character):04x}" for character in "\"'\\`$"}
"""Says the same in JSON, Python and JavaScript, and ends no quotation of a shell."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language of the examples; `id` is the one in the page, `suffix` that of the files."""

    id: str
    title: str
    suffix: str


@dataclass(frozen=True, slots=True)
class Example:
    """One thing to do, in every language; the files are called `name`."""

    name: str
    title: str


@dataclass(frozen=True, slots=True)
class Shelf:
    """The examples of one dialect, `title` as in the route table; `note` says what its users want to know first."""

    id: str
    title: str
    note: str
    examples: tuple[Example, ...]


CURL: Final = Language("curl", "curl", "sh")
LANGUAGES: Final = (CURL, Language("python", "Python", "py"), Language("javascript", "JavaScript", "mjs"))

_REPLY: Final = Example("reply", "A reply")
_STREAM: Final = Example("stream", "A reply that grows as it is written")

NATIVE: Final = Shelf(
    "native",
    "Native",
    "Every option of the model, under the names that Ollama gives them. JavaScript needs no package, and Python none "
    "where discord.py is, which brings `aiohttp`.",
    (_REPLY, _STREAM, Example("schema", "JSON of a form you choose, options, and the calls that are left")),
)
SHELVES: Final = (
    NATIVE,
    Shelf(
        "openai",
        "OpenAI",
        "For programs written with the `openai` packages: another base address and key, and nothing else.",
        (_REPLY, _STREAM, Example("schema", "Structured output")),
    ),
    Shelf(
        "ollama",
        "Ollama",
        "For programs written with the `ollama` packages. Without `stream` curl gets a stream, as from Ollama itself.",
        (_REPLY, _STREAM, Example("generate", "A prompt without a conversation, answered as JSON")),
    ),
    Shelf(
        "anthropic",
        "Anthropic",
        "For programs written with the `anthropic` and `@anthropic-ai/sdk` packages.",
        (_REPLY, _STREAM, Example("system", "A persona, a stop sequence, and why the reply ended")),
    ),
    Shelf(
        "modelslab",
        "ModelsLab",
        "The token stands in the body, and the server keeps the conversation. This dialect does not stream; a reply "
        "can be sent to a `webhook` when it is done.",
        (
            _REPLY,
            Example("conversation", "A conversation that the server remembers"),
            Example("choices", "Exactly one of several answers"),
        ),
    ),
)


def read_example(shelf: Shelf, example: Example, language: Language, *, address: str, model: str) -> str:
    """Read a file, and put the address and the model in that are to be used."""
    path = files("api.examples").joinpath(shelf.id, f"{example.name}.{language.suffix}")
    # The model first: an address may well have its name in it, a model none of an address.
    return path.read_text("utf-8").replace(MODEL, model.translate(_ESCAPED)).replace(ADDRESS, address)


def first_curl(*, address: str, secret: str) -> str:
    """Give the very first example as one line that works when pasted."""
    text = read_example(NATIVE, _REPLY, CURL, address=address, model=MODEL)
    return text.strip().replace(" \\\n  ", " ").replace(f"${TOKEN_VARIABLE}", secret)
