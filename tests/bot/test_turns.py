"""What a turn asks and keeps beside the question: thread starts, quotations, and the wish to be forgotten."""

from bot.config import BotStores
from bot.live import ShownPart
from bot.texts import refusals, replies
from bot.turns import shown_parts
from storage.posted import PostedPart, PostedReply
from tests.bot.conftest import StartBot
from tests.bot.replying import comes_to_say, finished, has_buttons, said, shows
from tests.bot.scripted_api import Refusal, ScriptedApi, Stream
from tests.doubles.discord_model import Channel, Message, User
from tests.doubles.discord_server import DiscordServer


async def _forget_everywhere(server: DiscordServer, channel: Channel, user: User) -> None:
    asked = await server.slash(user, channel, "forget", where="everywhere")
    await asked.replied()
    (question,) = asked.replies
    yes = next(button["custom_id"] for button in question.buttons.values() if button["custom_id"].endswith("yes"))
    before = question.content
    await server.press(user, question, yes)
    await server.changes.until(lambda: question.content != before, "the person is forgotten")


async def test_a_thread_begins_with_the_message_it_was_made_from_once_its_first_question_is_answered(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada, bob = server.channel(server.guild()), server.user("Ada"), server.user("Bob")
    await start_bot()
    starter = await server.user_says(channel, bob, "Tea is best", mentions_bot=True)
    await finished(server, channel)
    thread = server.thread(channel, starter=starter)
    api.script.append(Refusal(503, "Model unavailable"))
    await server.user_says(thread, ada, "Why?", mentions_bot=True)
    await server.posted(thread)
    assert await said(stores.conversations, thread) == []
    await server.user_says(thread, ada, "Why?", mentions_bot=True)
    await finished(server, thread, 2)
    begun = ["Bob: Tea is best", "Ada: Why?"]
    assert [[each.content for each in asked.request.messages[1:]] for asked in api.asked[1:]] == [begun, begun]
    assert await said(stores.conversations, thread) == [*begun, "You said: Why?"]
    await server.user_says(thread, ada, "And?", mentions_bot=True)
    await finished(server, thread, 3)
    assert await said(stores.conversations, thread) == [*begun, "You said: Why?", "Ada: And?", "You said: And?"]


async def test_a_thread_made_from_a_reply_begins_with_the_bots_own_words(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    await server.user_says(channel, ada, "Hello", mentions_bot=True)
    thread = server.thread(channel, starter=await finished(server, channel))
    await server.user_says(thread, ada, "Go on", mentions_bot=True)
    await finished(server, thread)
    assert [(each.role, each.content) for each in api.asked[1].request.messages[1:]] == [
        ("assistant", "You said: Hello"),
        ("user", "Ada: Go on"),
    ]


async def test_a_reply_to_what_is_no_longer_the_last_when_its_turn_comes_is_quoted(
    server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    channel, ada, bob = server.channel(server.guild()), server.user("Ada"), server.user("Bob")
    await start_bot()
    await server.user_says(channel, ada, "Hello", mentions_bot=True)
    first = await finished(server, channel)
    api.script.append(Stream(pieces=["Something else"], hold_after=0))
    await server.user_says(channel, bob, "Me too", mentions_bot=True)
    await api.held()
    await server.user_says(channel, ada, "What was that?", reply_to=first)
    api.release()
    await finished(server, channel, 3)
    assert [each.content for each in api.asked[2].request.messages[1:]] == [
        "Ada: Hello",
        "You said: Hello",
        "Bob: Me too",
        "Something else",
        "Parley: > You said: Hello",
        "Ada: What was that?",
    ]


async def test_a_live_token_in_what_is_replied_to_is_revoked_and_not_passed_on(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    ada = server.user("Ada")
    dm = server.dm(ada)
    # Posted while the bot was away.
    original = Message(dm, ada, "")
    issued = await stores.tokens.create("leaky", created_by=ada.id, daily_calls=5)
    original.edit_text(f"use {issued.secret}")
    dm.messages.append(original)
    await start_bot()
    await server.user_says(dm, ada, "What is that?", reply_to=original)
    await server.changes.until(
        lambda: any(each.content == refusals.token_leaked() for each in dm.own_messages(server.bot)), "a sentence"
    )
    assert api.asked == []
    assert (await stores.tokens.get(issued.token.id)).revoked_at is not None
    assert await said(stores.conversations, dm) == []


async def test_who_is_forgotten_while_being_answered_is_told_and_nothing_is_kept(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.script.append(Stream(pieces=["So far", " and on"], hold_after=1))
    growing = await server.slash(ada, channel, "chat", message="Forget this")
    await growing.replied()
    await _forget_everywhere(server, channel, ada)
    api.release()
    assert (await growing.replied(2))[1] == replies.forgotten_meanwhile()
    await has_buttons(server, growing.replies[0])
    assert await said(stores.conversations, channel) == []


async def test_who_is_forgotten_while_being_quoted_is_in_no_conversation(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada, bob = server.channel(server.guild()), server.user("Ada"), server.user("Bob")
    await start_bot()
    of_bob = await server.user_says(channel, bob, "Tea is best", mentions_bot=True)
    await finished(server, channel)
    await server.user_says(channel, ada, "Hello", mentions_bot=True)
    await finished(server, channel, 2)
    api.script.append(Stream(pieces=["Because"], hold_after=0))
    await server.user_says(channel, ada, "Why?", mentions_bot=True, reply_to=of_bob)
    await api.held()
    assert "Bob: > @Parley Tea is best" in [each.content for each in api.asked[2].request.messages]
    await _forget_everywhere(server, channel, bob)
    api.release()
    await finished(server, channel, 3)
    await comes_to_say(stores.conversations, channel, ["Ada: Hello", "You said: Hello", "Ada: Why?", "Because"])


async def test_a_question_that_is_edited_while_it_is_answered_reads_so_afterwards(
    server: DiscordServer, api: ScriptedApi, stores: BotStores, start_bot: StartBot
) -> None:
    channel, ada = server.channel(server.guild()), server.user("Ada")
    await start_bot()
    api.script.append(Stream(pieces=["Here"], hold_after=0))
    question = await server.user_says(channel, ada, "Befor", mentions_bot=True)
    await api.held()
    await server.user_edits(question, f"{server.bot.mention} Before")
    api.release()
    await comes_to_say(stores.conversations, channel, ["Ada: Before", "Here"])
    reply = await finished(server, channel)
    await server.press(ada, reply, reply.custom_id("Regenerate"))
    await shows(server, reply, "You said: Before")


def test_the_last_message_of_a_reply_stands_for_everything_that_is_left() -> None:
    parts = (
        PostedPart(discord_message_id=1, channel_id=9, characters=3),
        PostedPart(discord_message_id=2, channel_id=9, characters=1),
    )
    posted = PostedReply(
        conversation_key="channel:9",
        reply_id=5,
        question_id=4,
        asker_id=7,
        text="onetwothree",
        is_cut=False,
        parts=parts,
        is_last=True,
    )
    assert shown_parts(posted) == [ShownPart(message_id=1, text="one"), ShownPart(message_id=2, text="twothree")]
