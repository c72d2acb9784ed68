"""Everything at once and everything real: `parley up` as a process, the demo model, SQLite, and a stand-in Discord."""

import asyncio
import random
import re
import signal
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bot.texts import refusals
from tests.doubles.discord_model import Channel, User
from tests.doubles.discord_server import DiscordServer
from tests.parley.process import Parley, run, started

DISCORD_TOKEN = "stand-in-token"
CRASHES = 6
CLIENTS = 3


def settings(discord: DiscordServer) -> dict[str, str]:
    return {"DISCORD_TOKEN": DISCORD_TOKEN, "DISCORD_API_URL": discord.api_url}


async def test_people_in_discord_talk_to_the_model_and_it_remembers_after_a_restart(tmp_path: Path) -> None:
    async with DiscordServer(token=DISCORD_TOKEN) as discord:
        guild = discord.guild()
        channel, ada = discord.channel(guild), discord.user("Ada")
        async with started(tmp_path, **settings(discord)) as parley:
            await discord.connected()
            chat = await discord.slash(ada, channel, "chat", message="My lucky number is 7.")
            assert await chat.deferred() < 3
            assert (await chat.replied())[0].strip()
            parley.signal(signal.SIGTERM)
            assert await parley.stopped() == 0
        async with started(tmp_path, **settings(discord)):
            await discord.connected()
            await discord.user_says(channel, ada, "What is my lucky number?", mentions_bot=True)
            replies = await discord.posted(channel, 2)
            assert "7" in replies[-1]
        assert discord.state.breaches == []
        assert discord.state.pings <= {ada.display_name, str(ada.id), ada.name}


async def test_an_admin_issues_a_token_in_discord_that_works_over_http(tmp_path: Path) -> None:
    async with DiscordServer(token=DISCORD_TOKEN) as discord:
        guild = discord.guild()
        channel, grace = discord.channel(guild), discord.admin()
        async with started(tmp_path, **settings(discord)) as parley:
            await discord.connected()
            created = await discord.slash(grace, channel, "developer token create", name="my bot", daily_calls=2)
            (text,) = await created.replied()
            assert created.replies[0].is_ephemeral
            secret = re.search(r"parley_[\w-]{43}", text)
            assert secret
            statuses = [await ask(parley, secret[0], f"Hello {number}") for number in range(3)]
            assert [status for status, _ in statuses] == [200, 200, 429]
            usage = await discord.slash(grace, channel, "developer usage")
            (report,) = await usage.replied()
            assert "my bot" in report
            assert re.search(r"<t:\d+:R>", report)


async def test_http_stays_up_when_discord_refuses_the_token(tmp_path: Path) -> None:
    async with DiscordServer(token="another-token") as discord, started(tmp_path, **settings(discord)) as parley:
        printed = await parley.until_printed("Discord is off")
        assert "DISCORD_TOKEN" in printed
        assert DISCORD_TOKEN not in printed
        _, secret, _ = await run(tmp_path, "token", "create", "--name", "late")
        status, _ = await ask(parley, secret.strip(), "Hello!")
        assert status == 200


async def test_bot_and_service_run_apart(tmp_path: Path) -> None:
    async with DiscordServer(token=DISCORD_TOKEN) as discord:
        channel, ada = discord.channel(discord.guild()), discord.user("Ada")
        shared = {"PARLEY_SERVICE_TOKEN": "a-secret-for-both-halves"}
        async with started(tmp_path, "api", **shared, **settings(discord)) as service:
            await service.until_ready()
            apart = {**shared, **settings(discord), "PARLEY_API_URL": service.url}
            async with started(tmp_path, "bot", **apart) as bot:
                await discord.connected()
                chat = await discord.slash(ada, channel, "chat", message="Hello!")
                assert (await chat.replied())[0].strip()
                bot.signal(signal.SIGTERM)
                assert await bot.stopped() == 0


async def ask(parley: Parley, token: str, text: str) -> tuple[int, Any]:
    body = {"messages": [{"role": "user", "content": text}], "num_predict": 12}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{parley.url}/ai/chat", json=body, headers={"Authorization": token}) as response,
    ):
        return response.status, await response.json()


@dataclass
class Told:
    """What clients were told before the process died, and how often they were told nothing."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cut_off: int = 0
    problems: list[str] = field(default_factory=list)


async def keep_asking(parley: Parley, token: str, told: Told) -> None:
    """Ask until the connection breaks, and count what was answered."""
    while True:
        try:
            status, reply = await ask(parley, token, f"Count to {random.randint(3, 9)}.")
        except (aiohttp.ClientError, OSError):
            told.cut_off += 1
            return
        if status != 200:
            told.problems.append(f"status {status}")
            continue
        told.calls += 1
        told.prompt_tokens += reply["usage"]["prompt_tokens"]
        told.completion_tokens += reply["usage"]["completion_tokens"]


async def keep_chatting(discord: DiscordServer, channel: Channel, user: User) -> None:
    while True:
        before = len(channel.own_messages(discord.bot))
        await discord.user_says(channel, user, f"Hello number {before}!", mentions_bot=True)
        await discord.posted(channel, before + 1)


async def test_nothing_that_was_told_is_lost_by_kill_9_at_any_moment(tmp_path: Path) -> None:
    told = Told()
    _, token, _ = await run(tmp_path, "token", "create", "--name", "crash", "--daily-calls", "100000", "--json")
    secret, token_id = (re.search(rf'"{key}": "([^"]+)"', token) for key in ("token", "id"))
    assert secret
    assert token_id
    async with DiscordServer(token=DISCORD_TOKEN) as discord:
        channel, ada = discord.channel(discord.guild()), discord.user("Ada")
        for _ in range(CRASHES):
            async with started(tmp_path, **settings(discord)) as parley:
                await parley.until_ready()
                await discord.connected()
                clients = [asyncio.create_task(keep_asking(parley, secret[1], told)) for _ in range(CLIENTS)]
                chatting = asyncio.create_task(keep_chatting(discord, channel, ada))
                await asyncio.sleep(random.uniform(0.3, 2.0))
                parley.signal(signal.SIGKILL)
                await parley.stopped()
                await asyncio.gather(*clients)
                chatting.cancel()
                await asyncio.gather(chatting, return_exceptions=True)
        # One more start gives back what the last crash cut off.
        async with started(tmp_path, **settings(discord)) as parley:
            await parley.until_ready()
            parley.signal(signal.SIGTERM)
            assert await parley.stopped() == 0
        replies = channel.own_messages(discord.bot)
        # One that still grew when the process died has its Stop button for ever; nobody read it as finished.
        posted = [message.content for message in replies if "Stop" not in message.buttons]
        assert len(replies) - len(posted) <= CRASHES
    assert told.problems == []
    assert told.calls > CRASHES
    with sqlite3.connect(tmp_path / "data/parley.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        sums = "sum(calls), sum(open_calls), sum(prompt_tokens), sum(completion_tokens)"
        row = database.execute(f"SELECT {sums} FROM daily_usage WHERE tenant_id = ?", (token_id[1],)).fetchone()
        stored = database.execute("SELECT role, content FROM conversation_messages ORDER BY id").fetchall()
    database.close()
    calls, still_open, prompt_tokens, completion_tokens = row
    assert still_open == 0
    # A reply that was settled but cut off on its way is the one thing a client cannot know.
    assert told.calls <= calls <= told.calls + told.cut_off
    assert told.prompt_tokens <= prompt_tokens
    assert told.completion_tokens <= completion_tokens <= told.completion_tokens + 12 * told.cut_off
    assert [role for role, _ in stored] == ["user", "assistant"] * (len(stored) // 2), "no half turn is kept"
    kept = [content for role, content in stored if role == "assistant"]
    for text in posted:
        if text == refusals.empty_reply():
            # Said by the bot, not by the model: a turn without words is not kept.
            continue
        assert text in kept, "what people read in Discord is in the conversation"
        kept.remove(text)
    assert len(kept) <= CRASHES
