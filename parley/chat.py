"""`parley chat`: a conversation with the model in the terminal.

Owns: the prompt, its commands, what is printed. Does not own: generation; it calls the engine directly, so that it
needs no running service and no API token. Nothing is written to disk.
"""

import asyncio
import signal
import sys
import unicodedata
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from rich.console import Console
from rich.markup import escape

from api.abilities import within_abilities
from api.contract import ChatMessage, ChatRequest
from api.native import to_sampling
from generation.abilities import Abilities
from generation.engine import Engine, Message, Piece
from generation.errors import EngineUnavailableError, PromptTooLongError, RequestRefusedError, TemplateRefusedError
from generation.fitting import ContextFitter
from parley.engine_choice import choose_engine
from parley.panel import DEMO_NOTE
from parley.settings import Settings

REPLY_TOKENS = 512
READY_SECONDS = 30.0

HELP = """\
/reset            forget the conversation (the persona stays)
/persona          show the persona
/persona TEXT     take on another persona and start anew
/help             this list
/exit             leave (also Ctrl-D)
Ctrl-C stops a reply; the arrow keys bring back what you wrote."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """The loaded model, and how much of a conversation it reads (tokens)."""

    engine: Engine
    fitter: ContextFitter
    context_tokens: int
    abilities: Abilities


@dataclass(slots=True)
class Talk:
    """The conversation so far, and the persona it is held with."""

    persona: str
    history: list[Message] = field(default_factory=list)

    def asked(self, question: str) -> list[Message]:
        """Give the messages for the next question."""
        return [Message("system", self.persona), *self.history, Message("user", question)]

    def answered(self, question: str, reply: str) -> None:
        """Keep a finished turn."""
        self.history += [Message("user", question), Message("assistant", reply)]


class CtrlC:
    """What Ctrl-C calls instead of ending the program. Used in the event loop's thread."""

    def __init__(self) -> None:
        self._functions: list[Callable[[], object]] = []

    @contextmanager
    def calling(self, function: Callable[[], object]) -> Iterator[None]:
        """Let it call a function for the block; what it did before, it does after."""
        loop = asyncio.get_running_loop()
        before = signal.getsignal(signal.SIGINT)
        self._functions.append(function)
        loop.add_signal_handler(signal.SIGINT, function)
        try:
            yield
        finally:
            self._functions.pop()
            if self._functions:
                # Not removed first: without a handler of the loop it ends the program, be it for a microsecond.
                loop.add_signal_handler(signal.SIGINT, self._functions[-1])
            else:
                loop.remove_signal_handler(signal.SIGINT)
                signal.signal(signal.SIGINT, before)


async def talk(settings: Settings, *, persona: str | None) -> None:
    """Hold the conversation until the person leaves. Raises `ModelError` when the model cannot be loaded."""
    console = Console()
    chosen = await choose_engine(settings)
    engine = chosen.create(None)
    try:
        with console.status(f"Loading {escape(chosen.name)}"):
            await engine.start()
        console.print(f"[bold]{escape(chosen.name)}[/bold]  /help lists the commands")
        if chosen.is_demo:
            console.print(DEMO_NOTE, style="dim")
        speaker = Speaker(engine, ContextFitter(engine), chosen.context_tokens, chosen.abilities)
        await _converse(speaker, Talk(persona or settings.system_prompt), console)
    finally:
        await engine.close()


async def _converse(speaker: Speaker, conversation: Talk, console: Console) -> None:
    ctrl_c = CtrlC()
    async with _questions(ctrl_c) as questions:
        async for line in questions:
            question = line.strip()
            if question in {"/exit", "/quit"}:
                return
            if question.startswith("/"):
                console.print(obey(conversation, question), highlight=False, markup=False)
            elif question:
                await _answer(speaker, conversation, question, console=console, ctrl_c=ctrl_c)


def obey(conversation: Talk, command: str) -> str:
    """Carry out a command and give the sentence that says so."""
    name, _, argument = command.partition(" ")
    match name, argument.strip():
        case "/reset", _:
            conversation.history.clear()
            return "The conversation is forgotten."
        case "/persona", "":
            return conversation.persona
        case "/persona", text:
            conversation.persona = text
            conversation.history.clear()
            return "The persona is set; the conversation starts anew."
        case "/help", _:
            return HELP
        case _:
            return f"There is no command {name}.\n{HELP}"


def harmless(text: str) -> str:
    """Take out what would steer the terminal: every control character but tab and line end."""
    return "".join(character for character in text if character in "\t\n" or unicodedata.category(character) != "Cc")


@asynccontextmanager
async def _questions(ctrl_c: CtrlC) -> AsyncIterator[AsyncIterator[str]]:
    """Read lines: edited, with history, in a terminal; plain ones from a pipe."""
    lines = _typed(ctrl_c) if sys.stdin.isatty() else _piped()
    async with aclosing(lines):
        yield lines


async def _typed(ctrl_c: CtrlC) -> AsyncGenerator[str, None]:
    commands = WordCompleter(["/reset", "/persona", "/help", "/exit"], sentence=True)
    session: PromptSession[str] = PromptSession(completer=commands, complete_while_typing=False)
    # A prompt that reads takes Ctrl-C as a key, and a reply is stopped by it. Between them, where a second one of an
    # impatient person arrives, it would end the program and with it the conversation.
    with ctrl_c.calling(lambda: None):
        while True:
            try:
                yield await session.prompt_async("> ", handle_sigint=False)
            except KeyboardInterrupt:
                continue
            except EOFError:
                return


async def _piped() -> AsyncGenerator[str, None]:
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        yield line.decode("utf-8", "replace")


async def _answer(speaker: Speaker, conversation: Talk, question: str, *, console: Console, ctrl_c: CtrlC) -> None:
    reply: list[str] = []
    printing = asyncio.create_task(_print_reply(speaker, conversation.asked(question), reply, console=console))
    try:
        with ctrl_c.calling(printing.cancel):
            await asyncio.wait([printing])
        if not printing.cancelled():
            printing.result()
    except PromptTooLongError as error:
        console.print(f"That is too long: {error.prompt_tokens} tokens, the limit is {error.limit_tokens}.")
        return
    except EngineUnavailableError:
        console.print("\nThe model stopped and is starting again; please ask once more.")
        return
    except RequestRefusedError:
        console.print("The engine's server does not take this conversation; try /reset or another /persona.")
        return
    except TemplateRefusedError:
        console.print("The model's chat template does not take this conversation; try /reset or another /persona.")
        return
    console.out("")
    if reply or not printing.cancelled():
        conversation.answered(question, "".join(reply))


async def _print_reply(speaker: Speaker, messages: list[Message], reply: list[str], *, console: Console) -> None:
    """Print the pieces as they come, and keep each in `reply`, which is whole when this is cancelled too."""
    async with aclosing(_stream(speaker, messages)) as pieces:
        async for text in pieces:
            reply.append(text)
            console.out(harmless(text), end="", highlight=False)


async def _stream(speaker: Speaker, messages: list[Message]) -> AsyncGenerator[str, None]:
    await speaker.engine.wait_until_ready(READY_SECONDS)
    fitted = await speaker.fitter.fit(messages, context_tokens=speaker.context_tokens, reply_tokens=REPLY_TOKENS)
    room = max(1, speaker.context_tokens - len(fitted.prompt))
    request = ChatRequest(messages=[ChatMessage(role="user", content="")])
    options = within_abilities(to_sampling(request), speaker.abilities, asked=request)
    options = replace(options, max_tokens=min(REPLY_TOKENS, room))
    async with aclosing(speaker.engine.generate(fitted.prompt, options)) as events:
        async for event in events:
            if isinstance(event, Piece):
                yield event.text
