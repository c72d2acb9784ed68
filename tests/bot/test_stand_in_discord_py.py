"""discord.py against the stand-in Discord, without any of Parley: the stand-in as a real client sees it."""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import discord
import pytest
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route
from yarl import URL

from tests.bot.conftest import DISCORD_TOKEN
from tests.doubles.discord_model import MEMBER_PERMISSIONS, VIEW_AUDIT_LOG, Channel
from tests.doubles.discord_server import DiscordServer


class PlainBot(discord.Client):
    """A client that keeps what happens to it, until a test takes it."""

    def __init__(self, server: DiscordServer) -> None:
        intents = discord.Intents.none()
        intents.guilds = intents.guild_messages = intents.dm_messages = True
        super().__init__(intents=intents, max_messages=None, guild_ready_timeout=0.01)
        self._server = server
        self._seen: list[tuple[str, Any]] = []
        self.running: list[asyncio.Task[None]] = []
        self.tree = app_commands.CommandTree(self)

    async def setup_hook(self) -> None:
        """Tell Discord about the commands that a test has added."""
        await self.tree.sync()

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """Keep an event."""
        self._seen.append((event, args[0] if args else None))
        self._server.changes.announce()
        super().dispatch(event, *args, **kwargs)

    async def next(self, event: str) -> Any:
        """Wait for an event that has not been taken yet, and take what it brought."""
        await self._server.changes.until(lambda: any(name == event for name, _ in self._seen), f"event {event}")
        found = next(each for each in self._seen if each[0] == event)
        self._seen.remove(found)
        return found[1]

    def text_channel(self, channel: Channel) -> discord.TextChannel:
        """Return a channel as the client knows it."""
        found = self.get_channel(channel.id)
        assert isinstance(found, discord.TextChannel)
        return found


@pytest.fixture
async def bot(server: DiscordServer) -> AsyncIterator[PlainBot]:
    """Make a client that a test may add commands to before it starts it with `connect`."""
    client = PlainBot(server)
    yield client
    await client.close()
    await asyncio.gather(*client.running)


async def connect(server: DiscordServer, bot: PlainBot) -> None:
    Route.BASE = server.api_url
    DiscordWebSocket.DEFAULT_GATEWAY = URL(server.gateway_url)
    await bot.login(DISCORD_TOKEN)
    bot.running.append(asyncio.create_task(bot.connect()))
    await bot.next("ready")


class Form(discord.ui.Modal, title="A form"):
    """A form in both layouts."""

    old: discord.ui.TextInput[Any] = discord.ui.TextInput(label="Old", custom_id="old", required=False)
    new: discord.ui.Label[Any] = discord.ui.Label(
        text="New", component=discord.ui.TextInput(custom_id="new", max_length=9)
    )

    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Show what was entered."""
        assert isinstance(self.new.component, discord.ui.TextInput)
        await interaction.response.edit_message(content=f"{self.old.value} and {self.new.component.value}")


class Buttons(discord.ui.View):
    """A view that survives a restart."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @discord.ui.button(label="Change", custom_id="change")
    async def change(self, interaction: discord.Interaction[Any], _: discord.ui.Button[Any]) -> None:
        """Change the message at once."""
        await interaction.response.edit_message(content="changed", view=None)

    @discord.ui.button(label="Later", custom_id="later")
    async def later(self, interaction: discord.Interaction[Any], _: discord.ui.Button[Any]) -> None:
        """Change it later, and say something to the presser alone."""
        await interaction.response.defer()
        await interaction.edit_original_response(content="changed later")
        await interaction.followup.send("just for you", ephemeral=True)

    @discord.ui.button(label="Ask", custom_id="ask")
    async def ask(self, interaction: discord.Interaction[Any], _: discord.ui.Button[Any]) -> None:
        """Open a form."""
        await interaction.response.send_modal(Form())

    @discord.ui.select(custom_id="pick", options=[discord.SelectOption(label=each) for each in ("one", "two")])
    async def pick(self, interaction: discord.Interaction[Any], select: discord.ui.Select[Any]) -> None:
        """Say what was picked."""
        await interaction.response.send_message(f"picked {select.values}", ephemeral=True)


async def test_buttons_menus_and_forms_work_as_views(server: DiscordServer, bot: PlainBot) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    bot.add_view(Buttons())
    await connect(server, bot)
    await bot.text_channel(channel).send("hello", view=Buttons())
    message = channel.messages[0]
    later = await server.press(ada, message, message.custom_id("Later"))
    assert await later.replied() == ["just for you"]
    assert (message.content, channel.messages) == ("changed later", [message])
    asked = await server.press(ada, message, "ask")
    assert (await asked.form())["title"] == "A form"
    sent = await server.submit(ada, asked, {"old": "this", "new": "that"})
    assert await sent.answered() == 7
    assert message.content == "this and that"
    picked = await server.select(ada, message, "pick", ["two"])
    assert await picked.replied() == ["picked ['two']"]
    changed = await server.press(ada, message, "change")
    assert await changed.answered() == 7
    assert message.versions == ["hello", "changed later", "this and that", "changed"]
    assert message.buttons == {}
    assert (await bot.next("raw_message_edit")).message_id == message.id


async def test_a_message_menu_gives_the_message(server: DiscordServer, bot: PlainBot) -> None:
    @app_commands.context_menu(name="Ask about this message")
    async def ask(interaction: discord.Interaction[Any], message: discord.Message) -> None:
        await interaction.response.send_message(f"{message.author.name}: {message.content}")

    bot.tree.add_command(ask)
    channel, ada, bob = server.channel(server.guild()), server.user("Ada"), server.user("Bob")
    await connect(server, bot)
    target = await server.user_says(channel, bob, "hi there")
    assert (await bot.next("message")).content == ""
    used = await server.message_menu(ada, channel, "Ask about this message", target)
    assert await used.replied() == ["bob: hi there"]


async def test_options_arrive_as_objects(server: DiscordServer, bot: PlainBot) -> None:
    @app_commands.command(description="Set everything")
    async def everything(
        interaction: discord.Interaction[Any],
        who: discord.Member,
        role: discord.Role,
        where: discord.TextChannel,
        size: float,
        file: discord.Attachment,
    ) -> None:
        shown = f"{who.display_name} {[each.name for each in who.roles[1:]]} {role.name} {where.name} {size}"
        await interaction.response.send_message(f"{shown} {await file.read()!r} {interaction.locale}")

    bot.tree.add_command(everything)
    guild, ada = server.guild(), server.user("Ada", locale="pt-BR")
    channel, role = server.channel(guild), server.role(guild, "Testers")
    ada.roles.append(role)
    await connect(server, bot)
    file = ("notes.txt", b"notes")
    used = await server.slash(ada, channel, "everything", who=ada, role=role, where=channel, size=0.5, file=file)
    assert await used.replied() == ["Ada ['Testers'] Testers general 0.5 b'notes' pt-BR"]


async def test_files_go_both_ways(server: DiscordServer, bot: PlainBot) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await connect(server, bot)
    await server.user_says(channel, ada, "", mentions_bot=True, attachments=[("code.py", b"print()")])
    received = (await bot.next("message")).attachments[0]
    assert (received.filename, await received.read()) == ("code.py", b"print()")
    file = discord.File(io.BytesIO(b"history"), "history.md", description="All of it")
    sent = await bot.text_channel(channel).send(file=file)
    kept = channel.own_messages(server.bot)[0].files[0]
    assert (kept.data, kept.description, kept.content_type) == (b"history", "All of it", "text/markdown; charset=utf-8")
    await sent.edit(content="here", attachments=[*sent.attachments, discord.File(io.BytesIO(b"more"), "more.txt")])
    assert [each.data for each in channel.own_messages(server.bot)[0].files] == [b"history", b"more"]


async def test_edits_and_deletions_reach_the_client(server: DiscordServer, bot: PlainBot) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await connect(server, bot)
    said = [await server.user_says(channel, ada, f"{server.bot.mention} {text}") for text in ("one", "two", "three")]
    await server.user_edits(said[0], f"{server.bot.mention} one!")
    edited = await bot.next("raw_message_edit")
    assert (edited.message_id, edited.message.content) == (said[0].id, said[0].content)
    assert edited.message.edited_at is not None
    await server.user_deletes(said[0])
    assert (await bot.next("raw_message_delete")).message_id == said[0].id
    await server.bulk_delete(said[1:])
    assert (await bot.next("raw_bulk_message_delete")).message_ids == {said[1].id, said[2].id}


async def test_threads_and_forum_posts_are_known_with_their_parents(server: DiscordServer, bot: PlainBot) -> None:
    guild, ada = server.guild(), server.user("Ada")
    channel, forum = server.channel(guild), server.forum(guild)
    await connect(server, bot)
    starter = await server.user_says(channel, ada, "start here", mentions_bot=True)
    server.thread(channel, "talk", starter=starter)
    thread = await bot.next("thread_create")
    assert (thread.id, thread.parent.id, thread.owner_id) == (starter.id, channel.id, ada.id)
    assert (await thread.parent.fetch_message(thread.id)).content == starter.content
    post = await server.forum_post(forum, ada, "Help", f"{server.bot.mention} it broke")
    opened = await bot.next("thread_create")
    assert isinstance(opened.parent, discord.ForumChannel)
    assert (await opened.fetch_message(opened.id)).content == post.messages[0].content
    await opened.send("Try again")
    assert [message.content for message in post.own_messages(server.bot)] == ["Try again"]
    assert [message.content async for message in opened.history()] == ["Try again", post.messages[0].content]
    await server.delete_channel(post)
    assert (await bot.next("thread_delete")).id == post.id


async def test_joining_tells_by_whom_and_leaving_is_told(server: DiscordServer, bot: PlainBot) -> None:
    ada = server.user("Ada")
    await connect(server, bot)
    later = server.guild("Later", bot_permissions=MEMBER_PERMISSIONS | VIEW_AUDIT_LOG, locale="fr")
    server.channel(later, "hello", is_system=True)
    await server.join(later, inviter=ada)
    joined = await bot.next("guild_join")
    assert (joined.system_channel.name, joined.preferred_locale) == ("hello", discord.Locale.french)
    entries = [entry async for entry in joined.audit_logs(action=discord.AuditLogAction.bot_add, limit=5)]
    assert [(entry.user.id, entry.target.id) for entry in entries] == [(ada.id, server.bot.id)]
    await entries[0].user.send("Hello!")
    assert [message.content for message in server.dm_of(ada).messages] == ["Hello!"]
    await server.leave(later)
    assert (await bot.next("guild_remove")).id == later.id


async def test_a_closed_dm_is_forbidden(server: DiscordServer, bot: PlainBot) -> None:
    ada = server.user("Ada")
    ada.dms_closed = True
    await connect(server, bot)
    person = await bot.fetch_user(ada.id)
    with pytest.raises(discord.Forbidden) as refused:
        await person.send("hello")
    assert refused.value.code == 50007


async def test_twenty_channels_at_once_never_exceed_their_buckets(server: DiscordServer, bot: PlainBot) -> None:
    server.edit_bucket(limit=5, window_seconds=0.3)
    server.global_limit(1000)
    guild = server.guild()
    channels = [server.channel(guild, f"c{number}") for number in range(20)]
    await connect(server, bot)

    async def grow(channel: Channel) -> None:
        message = await bot.text_channel(channel).send("0")
        for number in range(1, 9):
            await message.edit(content=str(number))

    await asyncio.gather(*(grow(channel) for channel in channels))
    assert {channel.messages[0].content for channel in channels} == {"8"}
    assert server.state.rate_limited == []
