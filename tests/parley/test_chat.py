"""`parley chat`, as a person in a terminal and as a program at a pipe use it."""

import asyncio
import os
import pty
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from parley.chat import Talk, harmless, obey
from tests.parley.process import environment
from tests.waiting import PATIENCE_SECONDS

ANSWER_SECONDS = 90.0
PROMPT = re.escape("\x1b[?2004h")
"""Bracketed paste is switched on: the prompt reads. The `>` proves nothing, it is drawn once more when a line ends;
and what is typed before the prompt reads goes to the terminal itself, which keeps Ctrl-D and Ctrl-C."""
ESCAPES = re.compile(r"\x1b\[(?!\?2004h)[0-9;?]*[A-Za-z]|\x08")
UP, CTRL_C, CTRL_D = "\x1b[A", "\x03", "\x04"


class Terminal:
    """A pseudo-terminal with `parley chat` in it."""

    def __init__(self, descriptor: int, process: asyncio.subprocess.Process) -> None:
        self._descriptor = descriptor
        self._shown = ""
        self._changed = asyncio.Event()
        self.process = process
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            read = os.read(self._descriptor, 65536).decode("utf-8", "replace")
            self._shown = ESCAPES.sub("", self._shown + read)
        except OSError:
            asyncio.get_running_loop().remove_reader(self._descriptor)
        self._changed.set()

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    async def shows(self, pattern: str) -> str:
        """Wait until the pattern appears in what was shown since the last call."""
        async with asyncio.timeout(ANSWER_SECONDS):
            while not (found := re.search(pattern, self._shown)):
                self._changed.clear()
                await self._changed.wait()
        self._shown = self._shown[found.end() :]
        return found[0]

    async def while_interrupted(self, pattern: str, *, every_seconds: float) -> None:
        """Press Ctrl-C, which where no prompt reads is a signal, again and again until the pattern appears."""
        showing = asyncio.create_task(self.shows(pattern))
        while not showing.done():
            await asyncio.sleep(every_seconds)
            self.process.send_signal(signal.SIGINT)
        await showing


@asynccontextmanager
async def terminal(folder: Path, *program: str) -> AsyncIterator[Terminal]:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *(program or ("-m", "parley")), "chat"),
        cwd=folder,
        env=environment(TERM="xterm", PROMPT_TOOLKIT_NO_CPR="1"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        # A terminal of its own, so that Ctrl-C typed there is a signal there.
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        asyncio.get_running_loop().remove_reader(ours)
        if process.returncode is None:
            process.kill()
        await process.wait()
        os.close(ours)


async def test_a_person_talks_recalls_with_the_arrow_and_leaves(tmp_path: Path) -> None:
    async with terminal(tmp_path) as screen:
        await screen.shows(PROMPT)
        screen.type("My name is Ada.\r")
        await screen.shows(r"\n.*Ada[!.]")
        await screen.shows(PROMPT)
        screen.type("What is my name?\r")
        await screen.shows(r"\n.*Ada")
        await screen.shows(PROMPT)
        screen.type("/reset\r")
        await screen.shows("forgotten")
        await screen.shows(PROMPT)
        screen.type(UP + UP)
        await screen.shows(r"What is my name\?")
        screen.type(CTRL_C)
        await screen.shows(PROMPT)
        screen.type(CTRL_D)
        assert await asyncio.wait_for(screen.process.wait(), PATIENCE_SECONDS) == 0


async def test_an_impatient_ctrl_c_ends_neither_program_nor_conversation(tmp_path: Path) -> None:
    async with terminal(tmp_path) as screen:
        await screen.shows(PROMPT)
        screen.type("/persona You tell stories to the impatient.\r")
        await screen.shows(PROMPT)
        for _ in range(50):
            screen.type("Tell me a story.\r")
            await screen.while_interrupted(PROMPT, every_seconds=0.002)
        asking = asyncio.create_task(screen.shows(r"\n.*You tell stories to the impatient\."))
        while not asking.done():
            # Once more, for the last Ctrl-C may have taken the line.
            screen.type("/persona\r")
            await asyncio.sleep(0.5)
        await asking


INTERRUPTED = """
import os, signal
from parley import chat, cli

change, Session = signal.signal, chat.PromptSession

def change_and_interrupt(number, handler):
    before = change(number, handler)
    if number == signal.SIGINT:
        os.kill(os.getpid(), number)
    return before

def session(**options):
    signal.signal = change_and_interrupt
    return Session(**options)

chat.PromptSession = session
cli.main()
"""


async def test_no_moment_is_left_in_which_ctrl_c_ends_the_program(tmp_path: Path) -> None:
    async with terminal(tmp_path, "-c", INTERRUPTED) as screen:
        await screen.shows(PROMPT)
        screen.type("/persona You tell stories to the impatient.\r")
        await screen.shows("starts anew")
        for _ in range(2):
            await screen.shows(PROMPT)
            screen.type("Tell me a story.\r")
        await screen.shows(PROMPT)
        screen.type("/persona\r")
        await screen.shows(r"\n.*You tell stories to the impatient\.")


async def test_ctrl_c_stops_a_reply_that_has_not_begun(tmp_path: Path) -> None:
    async with terminal(tmp_path) as screen:
        await screen.shows(PROMPT)
        (engine,) = psutil.Process(screen.process.pid).children()
        engine.suspend()
        screen.type("Tell me a story.\r")
        await screen.while_interrupted(PROMPT, every_seconds=0.05)
        engine.resume()


async def test_a_pipe_gets_the_replies(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "parley", "chat"),
        cwd=tmp_path,
        env=environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(b"Hello!\n\ncaf\xe9 \xff\n/persona\n/exit\nnever asked\n")
    assert (process.returncode, err) == (0, b"")
    assert b"You are Parley" in out
    assert b"never asked" not in out


def test_reset_keeps_the_persona() -> None:
    talk = Talk("You are Mira.")
    talk.answered("Hello!", "Hi!")
    obey(talk, "/reset")
    assert (talk.persona, talk.history) == ("You are Mira.", [])


def test_a_new_persona_starts_anew() -> None:
    talk = Talk("You are Mira.")
    talk.answered("Hello!", "Hi!")
    obey(talk, "/persona You are Tom.")
    assert talk.persona == "You are Tom."
    assert [message.role for message in talk.asked("Who are you?")] == ["system", "user"]


def test_an_unknown_command_lists_the_known_ones() -> None:
    assert "/persona" in obey(Talk("x"), "/dance")


def test_a_reply_cannot_steer_the_terminal() -> None:
    assert harmless("a\x1b[2Jb\r\x07\n\tü😀\x9bc") == "a[2Jb\n\tü😀c"
