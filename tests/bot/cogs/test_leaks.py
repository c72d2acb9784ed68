"""Live API tokens that people post: dead at once, deleted where permitted, and the right people told."""

import asyncio
import logging
from datetime import timedelta

import pytest

from bot.config import BotStores
from bot.language import speaking
from bot.texts import leaks, refusals
from storage.database import Database
from storage.errors import TokenRevokedError
from storage.tokens import IssuedToken
from tests.bot.conftest import StartBot
from tests.bot.scripted_api import ScriptedApi
from tests.doubles.discord_model import MANAGE_MESSAGES, MEMBER_PERMISSIONS, Channel, Guild, User
from tests.doubles.discord_server import DiscordServer
from tests.waiting import PATIENCE_SECONDS, eventually

DELETE = "DELETE /channels/{channel}/messages/{message}"


async def make_token(stores: BotStores, guild: Guild | None, owner: User | None, name: str = "app") -> IssuedToken:
    return await stores.tokens.create(
        name,
        daily_calls=1,
        guild_id=None if guild is None else guild.id,
        created_by=None if owner is None else owner.id,
    )


async def is_live(stores: BotStores, issued: IssuedToken) -> bool:
    try:
        await stores.tokens.find(issued.secret)
    except TokenRevokedError:
        return False
    return True


async def dies(stores: BotStores, issued: IssuedToken) -> None:
    """Wait until a token opens nothing any more."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await is_live(stores, issued):  # noqa: ASYNC110 - nothing announces what becomes of a row
            await asyncio.sleep(0.01)


def told(channel: Channel, server: DiscordServer) -> list[str]:
    """Return what the bot has said in a channel."""
    return [message.content for message in channel.own_messages(server.bot)]


async def answers_again(server: DiscordServer, channel: Channel, user: User) -> None:
    """Ask something harmless and wait for the answer: what was posted before has been dealt with by then."""
    before = len(channel.own_messages(server.bot))
    await server.user_says(channel, user, "harmless", mentions_bot=True)
    await server.changes.until(
        lambda: any("harmless" in text for text in told(channel, server)[before:]), "the harmless question's answer"
    )


@pytest.fixture
def guild(server: DiscordServer) -> Guild:
    return server.guild("Home", bot_permissions=MEMBER_PERMISSIONS | MANAGE_MESSAGES)


@pytest.fixture
def channel(server: DiscordServer, guild: Guild) -> Channel:
    return server.channel(guild)


@pytest.fixture
def ada(server: DiscordServer) -> User:
    return server.user("Ada")


@pytest.fixture
def owner(server: DiscordServer) -> User:
    return server.user("Olga")


@pytest.fixture
async def issued(stores: BotStores, guild: Guild, owner: User) -> IssuedToken:
    return await make_token(stores, guild, owner)


async def test_a_posted_token_is_dead_deleted_and_everybody_who_must_know_is_told_once(
    server: DiscordServer,
    stores: BotStores,
    start_bot: StartBot,
    channel: Channel,
    ada: User,
    owner: User,
    issued: IssuedToken,
) -> None:
    dm = server.dm(owner)
    await start_bot()
    message = await server.user_says(channel, ada, f"why does **{issued.secret}** fail?", mentions_bot=True)
    await dies(stores, issued)
    await answers_again(server, channel, ada)
    assert told(channel, server)[:-1] == [leaks.message_deleted()]
    assert message.is_deleted
    place = leaks.place_in_server(channel=f"<#{channel.id}>", server="Home")
    assert told(dm, server) == [leaks.owner_told(name="app", token_id=issued.token.id, place=place)]


async def test_a_posted_token_reaches_neither_the_model_nor_the_conversation_nor_the_log(
    server: DiscordServer,
    api: ScriptedApi,
    stores: BotStores,
    start_bot: StartBot,
    channel: Channel,
    ada: User,
    issued: IssuedToken,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    await start_bot()
    await server.user_says(channel, ada, f"why does {issued.secret} fail?", mentions_bot=True)
    await answers_again(server, channel, ada)
    assert len(api.asked) == 1
    kept = await stores.conversations.read(f"channel:{channel.id}")
    assert issued.secret not in "".join(message.content for message in kept)
    assert issued.secret not in caplog.text
    (line,) = [record for record in caplog.records if record.name == "bot.leaks" and record.levelname == "WARNING"]
    assert issued.token.id in line.getMessage()


async def test_where_the_bot_may_not_delete_the_message_stays_and_is_said_to_be_harmless(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, ada: User, issued: IssuedToken
) -> None:
    guild = server.guild("Strict")
    channel = server.channel(guild)
    await start_bot()
    message = await server.user_says(channel, ada, issued.secret, mentions_bot=True)
    assert await server.posted(channel) == [leaks.message_stays()]
    assert not message.is_deleted
    assert server.state.count(DELETE) == 0
    assert not await is_live(stores, issued)


async def test_a_message_its_author_deleted_first_counts_as_deleted(
    server: DiscordServer, start_bot: StartBot, channel: Channel, ada: User, issued: IssuedToken
) -> None:
    await start_bot()
    server.fail_next(DELETE, 404)
    await server.user_says(channel, ada, issued.secret, mentions_bot=True)
    assert await server.posted(channel) == [leaks.message_deleted()]


async def test_a_deletion_that_fails_is_said_as_it_is(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, channel: Channel, ada: User, issued: IssuedToken
) -> None:
    await start_bot()
    server.fail_next(DELETE, 403)
    await server.user_says(channel, ada, issued.secret, mentions_bot=True)
    assert await server.posted(channel) == [leaks.message_stays()]
    assert not await is_live(stores, issued)


async def test_an_edit_that_brings_a_token_is_seen(
    server: DiscordServer,
    stores: BotStores,
    start_bot: StartBot,
    channel: Channel,
    ada: User,
    owner: User,
    issued: IssuedToken,
) -> None:
    dm = server.dm(owner)
    await start_bot()
    message = await server.user_says(channel, ada, "nothing for the bot")
    await server.user_edits(message, f"{server.bot.mention} {issued.secret}")
    await dies(stores, issued)
    assert await server.posted(channel) == [leaks.message_deleted()]
    assert message.is_deleted
    assert len(await server.posted(dm)) == 1


async def test_a_preview_of_a_link_that_shows_a_token_is_seen(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, ada: User, owner: User
) -> None:
    issued = await make_token(stores, None, owner)
    dm = server.dm(ada)
    await start_bot()
    message = await server.user_says(dm, ada, "https://paste.example/1")
    await server.posted(dm)
    message.embeds = [{"type": "link", "title": "paste", "description": f"key = {issued.secret}"}]
    await server.user_edits(message, message.content)
    await dies(stores, issued)
    assert leaks.message_stays() in await server.posted(dm, 2)


@pytest.mark.parametrize("is_webhook", [True, False])
async def test_other_bots_and_webhooks_are_watched_too(
    server: DiscordServer,
    api: ScriptedApi,
    stores: BotStores,
    start_bot: StartBot,
    channel: Channel,
    is_webhook: bool,
    issued: IssuedToken,
) -> None:
    reporter = server.user("Reporter", is_bot=not is_webhook)
    await start_bot()
    await server.user_says(channel, reporter, f"401 for {issued.secret}", mentions_bot=True, is_webhook=is_webhook)
    await dies(stores, issued)
    assert await server.posted(channel) == [leaks.message_deleted()]
    assert api.asked == []


async def test_text_that_discord_hides_is_not_seen_and_the_bots_own_replies_are_let_be(
    server: DiscordServer,
    api: ScriptedApi,
    stores: BotStores,
    start_bot: StartBot,
    channel: Channel,
    ada: User,
    issued: IssuedToken,
) -> None:
    api.answer = lambda _: f"harmless {issued.secret}"
    await start_bot()
    await server.user_says(channel, ada, issued.secret)
    await answers_again(server, channel, ada)
    await answers_again(server, channel, ada)
    assert await is_live(stores, issued)


async def test_the_owner_who_posts_in_a_dm_is_told_once(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot, owner: User, issued: IssuedToken
) -> None:
    dm = server.dm(owner)
    await start_bot()
    await server.user_says(dm, owner, issued.secret)
    expected = leaks.owner_told(name="app", token_id=issued.token.id, place=leaks.place_in_dm())
    assert await server.posted(dm) == [expected]
    await server.user_says(dm, owner, "harmless")
    await server.changes.until(lambda: len(api.asked) == 1, "the harmless question arrives")
    assert told(dm, server)[0] == expected
    assert not await is_live(stores, issued)


async def test_an_owner_whose_dms_are_closed_is_told_in_the_channel(
    server: DiscordServer, start_bot: StartBot, channel: Channel, ada: User, owner: User, issued: IssuedToken
) -> None:
    owner.dms_closed = True
    await start_bot()
    await server.user_says(channel, ada, issued.secret, mentions_bot=True)
    unreached = leaks.owner_unreached(person=owner.mention, name="app", token_id=issued.token.id)
    assert await server.posted(channel) == [f"{leaks.message_deleted()}\n{unreached}"]
    assert server.state.pings == set()


async def test_another_servers_channel_learns_nothing_about_whose_token_it_was(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, channel: Channel, ada: User, owner: User
) -> None:
    issued = await make_token(stores, server.guild("Elsewhere"), owner)
    owner.dms_closed = True
    await start_bot()
    await server.user_says(channel, ada, issued.secret, mentions_bot=True)
    assert await server.posted(channel) == [leaks.message_deleted()]


async def test_a_token_of_the_operators_has_nobody_to_tell(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, channel: Channel, ada: User
) -> None:
    issued = await make_token(stores, None, None)
    await start_bot()
    await server.user_says(channel, ada, issued.secret, mentions_bot=True)
    assert await server.posted(channel) == [leaks.message_deleted()]
    assert server.state.count("POST /users/@me/channels") == 0
    assert not await is_live(stores, issued)


async def test_every_live_token_of_a_message_dies_and_each_owner_hears_of_their_own(
    server: DiscordServer,
    stores: BotStores,
    start_bot: StartBot,
    guild: Guild,
    channel: Channel,
    ada: User,
    owner: User,
) -> None:
    issued = [await make_token(stores, guild, person, name) for person, name in ((owner, "one"), (ada, "two"))]
    dead = await make_token(stores, guild, owner, "three")
    await stores.tokens.revoke(dead.token.id)
    dms = [server.dm(person) for person in (owner, ada)]
    await start_bot()
    text = "\n".join(each.secret for each in (*issued, dead))
    await server.user_says(channel, ada, text, mentions_bot=True)
    assert await server.posted(channel) == [leaks.message_deleted()]
    place = leaks.place_in_server(channel=f"<#{channel.id}>", server="Home")
    for dm, each in zip(dms, issued, strict=True):
        expected = leaks.owner_told(name=each.token.name, token_id=each.token.id, place=place)
        assert await server.posted(dm) == [expected]
        assert not await is_live(stores, each)


async def test_an_old_secret_that_still_works_after_a_rotation_counts_as_live(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, channel: Channel, ada: User, issued: IssuedToken
) -> None:
    rotated = await stores.tokens.rotate(issued.token.id, grace=timedelta(hours=1))
    await start_bot()
    await server.user_says(channel, ada, issued.secret, mentions_bot=True)
    assert await server.posted(channel) == [leaks.message_deleted()]
    assert not await is_live(stores, rotated)


async def test_a_dead_token_is_an_ordinary_word(
    server: DiscordServer,
    api: ScriptedApi,
    stores: BotStores,
    start_bot: StartBot,
    guild: Guild,
    channel: Channel,
    ada: User,
) -> None:
    issued = await make_token(stores, guild, ada)
    await stores.tokens.revoke(issued.token.id)
    await start_bot()
    message = await server.user_says(channel, ada, f"is {issued.secret} dead?", mentions_bot=True)
    await server.posted(channel)
    assert len(api.asked) == 1
    assert not message.is_deleted
    assert server.state.count("POST /users/@me/channels") == 0


async def test_a_channel_the_bot_may_not_speak_in_loses_the_message_all_the_same(
    server: DiscordServer,
    stores: BotStores,
    start_bot: StartBot,
    guild: Guild,
    ada: User,
    owner: User,
    issued: IssuedToken,
) -> None:
    channel = server.channel(guild, "quiet", may_bot_speak=False)
    dm = server.dm(owner)
    await start_bot()
    message = await server.user_says(channel, ada, issued.secret, mentions_bot=True)
    await dies(stores, issued)
    await server.posted(dm)
    assert message.is_deleted
    assert told(channel, server) == []


async def test_a_command_that_holds_a_token_is_refused_and_the_owner_told(
    server: DiscordServer,
    api: ScriptedApi,
    stores: BotStores,
    start_bot: StartBot,
    channel: Channel,
    ada: User,
    owner: User,
    issued: IssuedToken,
) -> None:
    dm = server.dm(owner)
    await start_bot()
    used = await server.slash(ada, channel, "chat", message=f"what is {issued.secret}?")
    assert await used.replied() == [refusals.token_leaked()]
    place = leaks.place_in_server(channel=f"<#{channel.id}>", server="Home")
    assert await server.posted(dm) == [leaks.owner_told(name="app", token_id=issued.token.id, place=place)]
    assert not await is_live(stores, issued)
    assert api.asked == []


async def test_a_file_that_holds_a_token_is_like_a_message_that_does(
    server: DiscordServer,
    api: ScriptedApi,
    stores: BotStores,
    start_bot: StartBot,
    channel: Channel,
    ada: User,
    owner: User,
    issued: IssuedToken,
) -> None:
    dm = server.dm(owner)
    await start_bot()
    text = f"PARLEY_TOKEN={issued.secret}\n".encode()
    message = await server.user_says(
        channel, ada, "what is wrong?", mentions_bot=True, attachments=[(".env.txt", text, "text/plain")]
    )
    await dies(stores, issued)
    assert len(await server.posted(dm)) == 1
    await server.changes.until(lambda: leaks.message_deleted() in told(channel, server), "the channel is told")
    assert message.is_deleted
    assert api.asked == []


async def test_a_bot_that_stops_tells_everybody_first(
    server: DiscordServer, start_bot: StartBot, channel: Channel, ada: User, owner: User, issued: IssuedToken
) -> None:
    dm = server.dm(owner)
    running = await start_bot()
    await server.user_says(channel, ada, issued.secret, mentions_bot=True)
    await server.changes.until(lambda: server.state.count(DELETE) == 1, "the message is being deleted")
    await running.stop()
    assert len(told(dm, server)) == 1
    assert told(channel, server) == [leaks.message_deleted()]


async def test_without_a_database_the_message_is_neither_answered_nor_logged(
    server: DiscordServer,
    api: ScriptedApi,
    database: Database,
    start_bot: StartBot,
    channel: Channel,
    ada: User,
    issued: IssuedToken,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await start_bot()
    await database.close()
    await server.user_says(channel, ada, issued.secret, mentions_bot=True)
    await eventually(lambda: "on_message failed: StorageError" in caplog.text)
    assert issued.secret not in caplog.text
    assert api.asked == []


async def test_a_channel_reads_its_servers_language_and_an_owner_their_own(
    server: DiscordServer, stores: BotStores, start_bot: StartBot, ada: User
) -> None:
    guild = server.guild("Zuhause", bot_permissions=MEMBER_PERMISSIONS | MANAGE_MESSAGES, locale="de")
    channel, owner = server.channel(guild), server.user("Aiko", locale="ja")
    issued = await make_token(stores, guild, owner)
    dm = server.dm(owner)
    await start_bot()
    await (await server.slash(owner, channel, "developer limit show")).replied()
    await server.user_says(channel, ada, issued.secret, mentions_bot=True)
    with speaking("de"):
        assert await server.posted(channel) == [leaks.message_deleted()]
    with speaking("ja"):
        place = leaks.place_in_server(channel=f"<#{channel.id}>", server="Zuhause")
        assert await server.posted(dm) == [leaks.owner_told(name="app", token_id=issued.token.id, place=place)]


@pytest.mark.parametrize("message_content", [True, False])
async def test_a_token_in_a_message_for_others_is_seen_only_with_the_intent(
    server: DiscordServer,
    stores: BotStores,
    start_bot: StartBot,
    channel: Channel,
    ada: User,
    issued: IssuedToken,
    message_content: bool,
) -> None:
    await start_bot(message_content=message_content)
    await server.user_says(channel, ada, f"does {issued.secret} work for you?")
    if message_content:
        await server.posted(channel)
        with pytest.raises(TokenRevokedError):
            await stores.tokens.find(issued.secret)
    else:
        await (await server.slash(ada, channel, "help")).replied()
        assert (await stores.tokens.find(issued.secret)).id == issued.token.id
