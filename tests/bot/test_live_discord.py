"""Replies that grow in the stand-in Discord, through discord.py: buckets that run empty, lost gateways, old tokens."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pytest

from bot.live import LiveReply
from bot.screens import InteractionScreen, MessageScreen, Screen
from bot.splitting import split
from bot.standing import ShownPart
from tests.bot.live_bot import LiveBot, buttons, find, live_bot
from tests.doubles.discord_model import ATTACH_FILES, MEMBER_PERMISSIONS, Channel, Message, User
from tests.doubles.discord_server import DiscordServer
from tests.waiting import PATIENCE_SECONDS

PATCH_MESSAGE = "PATCH /channels/{channel}/messages/{message}"
PATCH_ANSWER = "PATCH /webhooks/{application}/{token}/messages/{message}"
PATCH_ORIGINAL = "PATCH /webhooks/{application}/{token}/messages/@original"
EDITS = (PATCH_MESSAGE, PATCH_ANSWER, PATCH_ORIGINAL)

LONG_TEXT = "".join(f"Sentence number {number} of a long reply. " for number in range(70))


@pytest.fixture
async def bot(server: DiscordServer, channel: Channel, ada: User) -> AsyncIterator[LiveBot]:
    async with live_bot(server) as running:
        yield running


@dataclass(frozen=True)
class Ended:
    """One reply that was shown to its end. Times are of the event loop's clock, in seconds."""

    text: str
    finished_at: float
    message_ids: tuple[int, ...]


async def _reply(bot: LiveBot, screen: Screen, text: str, *, seconds: float, shown: Sequence[ShownPart] = ()) -> Ended:
    """Let a reply come evenly in some seconds, and finish it."""
    async with LiveReply(screen, bot.pacer, max_messages=5, shown=shown) as live:
        live.running_view = buttons("stop")
        await _write(live, text, seconds=seconds)
        finished_at = asyncio.get_running_loop().time()
        posted = await live.finish(text, view=buttons("again"))
        assert sum(part.characters for part in posted) == len(text)
    return Ended(text, finished_at, tuple(part.discord_message_id for part in posted))


async def _write(live: LiveReply, text: str, *, seconds: float) -> None:
    steps = max(1, round(seconds * 20))
    for step in range(1, steps + 1):
        live.write(text[: len(text) * step // steps])
        await asyncio.sleep(seconds / steps)


def _check(server: DiscordServer, messages: Sequence[Message], text: str) -> None:
    assert [message.content for message in messages] == split(text)
    assert [list(message.buttons) for message in messages] == [[]] * (len(messages) - 1) + [["again"]]


async def test_twenty_channels_at_once_meet_no_limit_and_their_last_edits_come_soon(server: DiscordServer) -> None:
    guild, people = server.guild(), [server.user(f"Person {number}") for number in range(20)]
    channels = [server.channel(guild, f"channel-{number}") for number in range(20)]
    server.edit_bucket(limit=5, window_seconds=5.0)
    server.global_limit(50)

    async def talk(bot: LiveBot, number: int, screen: Screen) -> Ended:
        return await _reply(bot, screen, f"Reply {number}. {LONG_TEXT}", seconds=7 + number * 0.1)

    async with live_bot(server) as bot:
        screens: list[Screen] = []
        uses = []
        for number, (channel, person) in enumerate(zip(channels, people, strict=True)):
            if number < 12:
                screens.append(MessageScreen((await bot.told(person, channel, "talk"))[1]))
            else:
                use, interaction = await bot.asked(person, channel)
                uses.append(use)
                screens.append(InteractionScreen(interaction, is_private=number % 2 == 0))
        ended = await asyncio.gather(*(talk(bot, number, screen) for number, screen in enumerate(screens)))
    assert server.state.rate_limited == []
    for number, each in enumerate(ended):
        shown = channels[number].own_messages(server.bot) if number < 12 else uses[number - 12].replies
        _check(server, shown, each.text)
        changed = [
            call
            for call in server.calls
            if call.route.startswith(("PATCH", "POST")) and call.status == 200 and _touches(call.reply, each)
        ]
        assert changed[-1].at - each.finished_at <= 5.5
        grown = [call for call in changed if call.route in EDITS and call.at <= each.finished_at]
        assert len(grown) >= 4


def _touches(reply: object, ended: Ended) -> bool:
    return isinstance(reply, dict) and str(reply.get("id")) in map(str, ended.message_ids)


async def test_replies_that_end_one_after_the_other_meet_no_limit(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    server.edit_bucket(limit=5, window_seconds=2.0)
    for number in range(6):
        _, message = await bot.told(ada, channel, "talk")
        await _reply(bot, MessageScreen(message), f"Reply {number}.", seconds=0.9)
    assert server.state.rate_limited == []
    assert [message.content for message in channel.own_messages(server.bot)] == [f"Reply {n}." for n in range(6)]


async def test_replies_that_end_at_the_same_time_in_one_channel_meet_no_limit(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    server.edit_bucket(limit=5, window_seconds=2.0)
    texts = [f"Reply {number}. {LONG_TEXT}" for number in range(6)]
    screens = [MessageScreen((await bot.told(ada, channel, "talk"))[1]) for _ in texts]
    ended = await asyncio.gather(
        *(_reply(bot, screen, text, seconds=3) for screen, text in zip(screens, texts, strict=True))
    )
    assert server.state.rate_limited == []
    for each in ended:
        _check(server, [find(channel, message_id) for message_id in each.message_ids], each.text)


async def test_a_lost_gateway_does_not_stop_a_reply(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    _, message = await bot.told(ada, channel, "talk")
    replying = asyncio.create_task(_reply(bot, MessageScreen(message), LONG_TEXT, seconds=3))
    await server.posted(channel)
    await server.drop_gateway()
    await server.connected()
    await replying
    _check(server, channel.own_messages(server.bot), LONG_TEXT)


async def test_a_fault_of_discord_in_the_middle_is_got_over(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    server.fail_next(PATCH_MESSAGE, 502, 503, 500)
    _, message = await bot.told(ada, channel, "talk")
    await _reply(bot, MessageScreen(message), LONG_TEXT, seconds=3)
    _check(server, channel.own_messages(server.bot), LONG_TEXT)
    assert server.state.failures[PATCH_MESSAGE] == []


async def test_deleting_the_growing_message_tells_the_writer_to_stop(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    _, message = await bot.told(ada, channel, "talk")
    async with LiveReply(MessageScreen(message), bot.pacer, max_messages=5) as live:
        writing = asyncio.create_task(_write(live, LONG_TEXT, seconds=5))
        await server.posted(channel)
        await server.user_deletes(channel.own_messages(server.bot)[0])
        async with asyncio.timeout(PATIENCE_SECONDS):
            await live.gone.wait()
        writing.cancel()
        await live.finish(LONG_TEXT, view=buttons("again"))
    assert channel.own_messages(server.bot) == []


async def test_a_deleted_channel_tells_the_writer_to_stop(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    _, message = await bot.told(ada, channel, "talk")
    async with LiveReply(MessageScreen(message), bot.pacer, max_messages=5) as live:
        writing = asyncio.create_task(_write(live, LONG_TEXT, seconds=5))
        await server.posted(channel)
        await server.delete_channel(channel)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await live.gone.wait()
        writing.cancel()


async def test_a_reply_goes_on_growing_in_its_message_when_its_command_has_become_old(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    use, interaction = await bot.asked(ada, channel)
    screen = InteractionScreen(interaction, is_private=False)
    replying = asyncio.create_task(_reply(bot, screen, LONG_TEXT, seconds=3))
    await use.replied()
    use.expire()
    await replying
    _check(server, channel.own_messages(server.bot), LONG_TEXT)
    assert server.state.count(PATCH_MESSAGE) >= 2


async def test_a_private_reply_goes_on_in_the_dm_when_its_command_has_become_old(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    dm = server.dm(ada)
    use, interaction = await bot.asked(ada, channel)
    screen = InteractionScreen(interaction, is_private=True)
    replying = asyncio.create_task(_reply(bot, screen, LONG_TEXT, seconds=3))
    await use.replied()
    use.expire()
    ended = await replying
    _check(server, dm.own_messages(server.bot), LONG_TEXT)
    assert [message.id for message in dm.own_messages(server.bot)] == list(ended.message_ids)
    assert channel.own_messages(server.bot) == []


async def test_where_no_files_may_be_attached_a_very_long_reply_comes_as_messages(
    server: DiscordServer, ada: User
) -> None:
    channel = server.channel(server.guild(bot_permissions=MEMBER_PERMISSIONS & ~ATTACH_FILES))
    text = LONG_TEXT * 5
    async with live_bot(server) as bot:
        _, message = await bot.told(ada, channel, "talk")
        await _reply(bot, MessageScreen(message), text, seconds=0.1)
    _check(server, channel.own_messages(server.bot), text)


async def test_a_very_long_reply_ends_in_a_file(
    server: DiscordServer, bot: LiveBot, channel: Channel, ada: User
) -> None:
    text = LONG_TEXT * 5
    _, message = await bot.told(ada, channel, "talk")
    await _reply(bot, MessageScreen(message), text, seconds=0.1)
    *_, last = shown = channel.own_messages(server.bot)
    (file,) = last.files
    assert "".join(message.content for message in shown) + file.data.decode() == text
    assert (len(shown), file.filename, bool(file.description)) == (5, "reply.md", True)
