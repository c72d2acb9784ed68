"""People in a Discord server, with the real bot in it: they ask, edit and delete what they asked, and press Stop.

A room is one person's at a time, so that it is known what its conversation must hold. Owns: what was asked and seen in
Discord. Does not own: the comparison with the database (`audit.py`).
"""

import asyncio
import random
from dataclasses import dataclass, field
from time import monotonic

from tests.doubles.discord_basics import INTERACTION_ANSWER_SECONDS
from tests.doubles.discord_model import Channel, Interaction, Message, User
from tests.doubles.discord_server import DiscordServer
from tests.soak.book import KEPT_PROMPT_TOKENS, Book
from tests.soak.house import House
from tests.soak.questions import question

LONGEST_REPLY = 1000
"""LLM tokens, where the model rambles; elsewhere the bot's own bound is lower."""

OVER_SECONDS = 45.0
STEADY_SECONDS = 1.5
"""A message without buttons is a refusal once it stays one: buttons are taken away before others come."""

PLAIN_ROOMS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of a question later, and when: another one, or none."""

    at: float
    number: int | None


@dataclass(slots=True, kw_only=True)
class Turn:
    """A question by its number, and the reply that was seen whole; None is not compared."""

    number: int
    shown: str | None
    message: Message | None
    change: Change | None = None

    def may_be(self, book: Book) -> set[int | None]:
        """Say which questions the conversation may hold in its place."""
        if self.change is None:
            return {self.number}
        # The bot may not have heard of it, or not have come to write it down.
        is_vague = book.is_disturbed(self.change.at, self.change.at)
        return {self.change.number, self.number} if is_vague else {self.change.number}


@dataclass(kw_only=True)
class Room:
    """A channel, the turns seen whole, and the questions of which nobody saw the end. In one the model rambles."""

    channel: Channel
    rambles: bool = False
    turns: list[Turn] = field(default_factory=list)
    unknown: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question on its way: a message, or the use of a command; `before` messages of the bot stood there already."""

    room: Room
    person: User
    message: Message | None
    used: Interaction | None
    before: int
    lives: int

    def said(self, bot: User) -> list[Message]:
        """Return what the bot has answered so far."""
        return self.room.channel.own_messages(bot)[self.before :] if self.used is None else self.used.replies

    @property
    def is_lost(self) -> bool:
        """Say whether Discord has given a command up: a machine this busy may take too long for its first answer."""
        return (
            self.used is not None
            and self.used.answered_at is None
            and self.used.age_seconds > INTERACTION_ANSWER_SECONDS
        )


class People:
    """Everybody in one Discord server, which all is charged to."""

    def __init__(self, discord: DiscordServer, house: House, book: Book) -> None:
        self._discord = discord
        self._house = house
        self._book = book
        self._guild = discord.guild()
        self._people = [discord.user(name) for name in ("Ada", "Bob", "Cy")]
        self._admin = discord.admin()
        self.tenant_id = f"discord:{self._guild.id}"
        self.rooms = [Room(channel=discord.channel(self._guild, f"room-{number}")) for number in range(PLAIN_ROOMS)]
        self.rooms.append(Room(channel=discord.channel(self._guild, "rambling"), rambles=True))
        self._idle = list(self.rooms)

    async def settle_in(self) -> None:
        """Wait for the bot, let the model ramble where it is to, and ask once."""
        await self._discord.connected()
        await self._discord.changes.until(lambda: self._discord.state.commands != [], "the commands are known")
        for room in self.rooms:
            if room.rambles:
                options = {"temperature": 2.0, "num_predict": LONGEST_REPLY}
                used = await self._discord.slash(self._admin, room.channel, "settings set", **options)
                await used.replied()
        await self._ask(random.Random(0), self.rooms[0])

    async def do_something(self, chance: random.Random) -> None:
        """Do one thing in a room where nobody does anything."""
        if not (self._discord.gateway.is_connected and self._idle):
            await asyncio.sleep(0.1)
            return
        began_at = monotonic()
        room = self._idle.pop(chance.randrange(len(self._idle)))
        try:
            if room.rambles:
                await self._ask(chance, room, stops=True)
            elif chance.random() < 0.7:
                await self._ask(chance, room)
            else:
                await self._change(chance, room)
        finally:
            self._idle.append(room)
        self._note_breaches(began_at)
        await asyncio.sleep(chance.uniform(0.1, 0.6))

    async def _ask(self, chance: random.Random, room: Room, *, stops: bool = False) -> None:
        """Ask by a mention or a command, and wait for what comes of it."""
        number, began_at = chance.randrange(10**9), self._book.begin(self.tenant_id)
        asked = await self._say(chance, room, f"{question(chance)} ({number})")
        if stops:
            await self._stop(asked)
        said = await self._until_over(asked)
        if said is not None and "Regenerate" in said[-1].buttons:
            self._book.counts["discord turns"] += 1
            shown = said[0].content if len(said) == 1 and not room.rambles else None
            room.turns.append(Turn(number=number, shown=shown, message=asked.message))
            if not stops:
                self._book.told_without_tokens(self.tenant_id, most_completion_tokens=LONGEST_REPLY)
                return
        else:
            room.unknown.add(number)
            self._book.counts["discord late" if asked.is_lost else "discord unknown"] += 1
            if not (stops or asked.is_lost) and not self._book.is_disturbed(began_at, monotonic()):
                what = "nothing" if said is None else said[-1].content
                self._book.problem(f"in Discord a question got {what!r}, and nothing was killed")
        self._book.left(
            self.tenant_id,
            began_at,
            most_completion_tokens=LONGEST_REPLY,
            most_prompt_tokens=KEPT_PROMPT_TOKENS,
        )

    async def _say(self, chance: random.Random, room: Room, text: str) -> Asked:
        person, message, used = chance.choice(self._people), None, None
        before, lives = len(room.channel.own_messages(self._discord.bot)), self._house.lives
        if chance.random() < 0.6:
            message = await self._discord.user_says(room.channel, person, text, mentions_bot=True)
        else:
            used = await self._discord.slash(person, room.channel, "chat", message=text)
            used.may_stay_unanswered = True
        return Asked(room=room, person=person, message=message, used=used, before=before, lives=lives)

    async def _stop(self, asked: Asked) -> None:
        """Press Stop as soon as it is there."""
        ends_at = monotonic() + OVER_SECONDS
        while monotonic() < ends_at and self._is_open(asked):
            said = asked.said(self._discord.bot)
            if said and "Regenerate" in said[-1].buttons:
                return
            if said and "Stop" in said[-1].buttons:
                pressed = await self._discord.press(asked.person, said[-1], said[-1].custom_id("Stop"))
                pressed.may_stay_unanswered = True
                self._book.counts["discord stops"] += 1
                return
            await asyncio.sleep(0.05)

    async def _until_over(self, asked: Asked) -> list[Message] | None:
        """Wait for a whole reply or a refusal; None when the process was killed, or in vain."""
        ends_at, steady_at = monotonic() + OVER_SECONDS, monotonic() + STEADY_SECONDS
        while monotonic() < ends_at and self._is_open(asked):
            said = asked.said(self._discord.bot)
            if said and "Regenerate" in said[-1].buttons:
                return list(said)
            if not said or said[-1].buttons or not said[-1].content:
                steady_at = monotonic() + STEADY_SECONDS
            elif monotonic() >= steady_at:
                return list(said)
            await asyncio.sleep(0.05)
        return None

    async def _change(self, chance: random.Random, room: Room) -> None:
        """Edit or delete a question that was asked lately."""
        open_turns = [turn for turn in room.turns[-5:] if turn.message is not None and turn.change is None]
        if not open_turns:
            return
        turn = chance.choice(open_turns)
        assert turn.message is not None
        self._book.counts["discord changes"] += 1
        if chance.random() < 0.5:
            turn.change = Change(at=monotonic(), number=None)
            await self._discord.user_deletes(turn.message)
            return
        number = chance.randrange(10**9)
        turn.change = Change(at=monotonic(), number=number)
        text = f"{self._discord.bot.mention} {question(chance)} ({number})"
        await self._discord.user_edits(turn.message, text)

    def _is_open(self, asked: Asked) -> bool:
        """Say whether an answer can still come: the process that was asked lives, and Discord waits for it."""
        return self._house.is_up.is_set() and self._house.lives == asked.lives and not asked.is_lost

    def _note_breaches(self, began_at: float) -> None:
        """Note rules of Discord's that were broken; a bot that was killed cannot know what it was told before."""
        noted = self._discord.state.noted_breaches
        if not self._book.is_disturbed(began_at, monotonic()):
            for breach in noted:
                self._book.problem(f"in Discord: {breach}")
        noted.clear()
