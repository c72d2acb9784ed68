"""Files and embeds of the stand-in Discord, tried with raw requests."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.doubles.discord_model import ATTACH_FILES, MEMBER_PERMISSIONS, Json, Message
from tests.doubles.discord_payloads import MAX_FILE_BYTES, check_message
from tests.doubles.discord_probe import GUILD_MESSAGES, GUILDS, MESSAGE_CONTENT, Probe
from tests.doubles.discord_uploads import new_file

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x07\x00\x00\x00\x05" + b"\x00" * 9
FILE_OPTION = {"name": "file", "description": "A file", "type": 11}
COMMAND = {"name": "chat", "description": "Talk", "options": [FILE_OPTION]}


@pytest.fixture
async def probe() -> AsyncIterator[Probe]:
    async with Probe() as running:
        yield running


def path_of(message: Message) -> str:
    return f"/channels/{message.channel.id}/messages/{message.id}"


async def test_a_posted_file_lies_on_the_cdn_with_what_was_said_about_it(probe: Probe) -> None:
    channel = probe.server.channel(probe.server.guild())
    described = {"attachments": [{"id": 0, "filename": "a chart.png", "description": "A chart"}]}
    files = {"a chart.png": PNG, "notes.txt": "größer".encode()}
    reply = await probe.ask("POST", f"/channels/{channel.id}/messages", described, files=files)
    message = channel.messages[0]
    assert [file.data for file in message.files] == list(files.values())
    chart, notes = reply.body["attachments"]
    assert (chart["filename"], chart["content_type"], chart["description"]) == ("a_chart.png", "image/png", "A chart")
    assert (chart["width"], chart["height"], chart["size"]) == (7, 5, len(PNG))
    assert (notes["content_type"], "description" in notes) == ("text/plain; charset=utf-8", False)
    assert await probe.fetch(notes["url"]) == (200, "größer".encode())
    assert (await probe.fetch(notes["url"].replace(notes["id"], "1")))[0] == 404


async def test_an_edit_keeps_the_files_it_lists_and_adds_those_it_brings(probe: Probe) -> None:
    channel = probe.server.channel(probe.server.guild())
    await probe.ask("POST", f"/channels/{channel.id}/messages", {"content": "x"}, files={"a.txt": b"a", "b.txt": b"b"})
    message = channel.messages[0]
    await probe.ask("PATCH", path_of(message), {"content": "y"})
    assert [file.filename for file in message.files] == ["a.txt", "b.txt"]
    listed = {"attachments": [{"id": str(message.files[1].id)}, {"id": 0}]}
    assert (await probe.ask("PATCH", path_of(message), listed, files={"c.txt": b"c"})).status == 200
    assert [file.filename for file in message.files] == ["b.txt", "c.txt"]
    await probe.ask("PATCH", path_of(message), {"attachments": []})
    assert message.files == []
    assert (await probe.ask("PATCH", path_of(message), {"attachments": [{"id": "5"}]})).code == 50035


async def test_answers_to_commands_take_files_everywhere(probe: Probe) -> None:
    guild = probe.server.guild(bot_permissions=MEMBER_PERMISSIONS & ~ATTACH_FILES)
    channel, ada = probe.server.channel(guild), probe.server.user("Ada")
    await probe.listen()
    await probe.register(COMMAND)
    used = await probe.server.slash(ada, channel, "chat")
    callback = f"/interactions/{used.id}/{used.token}/callback"
    body = {"type": 4, "data": {"attachments": [{"id": 0, "description": "first"}]}}
    assert (await probe.ask("POST", callback, body, files={"1.txt": b"1"}, token=None)).status == 204
    await probe.ask("POST", probe.webhook(used), {}, files={"2.txt": b"2"}, token=None)
    original = f"{probe.webhook(used)}/messages/@original"
    await probe.ask("PATCH", original, {"content": "more"}, files={"3.txt": b"3"}, token=None)
    assert [[file.data for file in reply.files] for reply in used.replies] == [[b"1", b"3"], [b"2"]]
    assert used.replies[0].files[0].description == "first"


async def test_posting_files_in_a_channel_takes_a_permission(probe: Probe) -> None:
    guild = probe.server.guild(bot_permissions=MEMBER_PERMISSIONS & ~ATTACH_FILES)
    channel, dm = probe.server.channel(guild), probe.server.dm(probe.server.user("Ada"))
    refused = await probe.ask("POST", f"/channels/{channel.id}/messages", {"content": "x"}, files={"a.txt": b"a"})
    assert refused.code == 50013
    assert (await probe.ask("POST", f"/channels/{dm.id}/messages", {}, files={"a.txt": b"a"})).status == 200
    assert probe.server.state.breaches == []


async def test_people_attach_files_to_messages_and_commands(probe: Probe) -> None:
    channel, ada = probe.server.channel(probe.server.guild()), probe.server.user("Ada")
    await probe.listen(GUILDS | GUILD_MESSAGES | MESSAGE_CONTENT)
    await probe.register(COMMAND)
    odd = ("odd.bin", b"\x00", "text/plain; charset=utf-8")
    await probe.server.user_says(channel, ada, "", attachments=[("code.py", b"print()"), odd])
    code, binary = (await probe.hears("MESSAGE_CREATE"))["attachments"]
    assert code["content_type"] == "text/x-python; charset=utf-8"
    assert binary["content_type"] == "text/plain; charset=utf-8"
    await probe.server.slash(ada, channel, "chat", file=("notes.txt", b"notes"))
    data = (await probe.hears("INTERACTION_CREATE"))["data"]
    attached = data["resolved"]["attachments"][data["options"][0]["value"]]
    assert attached["filename"] == "notes.txt"
    assert await probe.fetch(attached["url"]) == (200, b"notes")


async def test_files_that_are_too_many_or_too_large_are_breaches(probe: Probe) -> None:
    channel = probe.server.channel(probe.server.guild())
    path = f"/channels/{channel.id}/messages"
    eleven = {f"{number}.txt": b"x" for number in range(11)}
    assert (await probe.ask("POST", path, files=eleven)).code == 50035
    too_large = await probe.ask("POST", path, files={"large.bin": b"x" * (MAX_FILE_BYTES + 1)})
    assert (too_large.status, too_large.code) == (413, 40005)
    assert (await probe.ask("POST", path, files={"just.bin": b"x" * MAX_FILE_BYTES})).status == 200
    long = {"attachments": [{"id": 0, "description": "d" * 1025}]}
    assert (await probe.ask("POST", path, long, files={"a.txt": b"a"})).code == 50035
    assert len(probe.server.state.breaches) == 3


def _embeds(*embeds: Json) -> Json:
    return {"embeds": list(embeds)}


_FIELD = {"name": "n" * 256, "value": "v" * 1024}


@pytest.mark.parametrize(
    "payload",
    [
        {"content": "x", "embeds": []},
        _embeds({"title": "t" * 256, "description": "d" * 4096}),
        _embeds(*[{"title": "x"}] * 10),
        _embeds({"fields": [_FIELD] * 4, "footer": {"text": "f" * 880}}),
        _embeds({"fields": [{"name": "n", "value": "v"}] * 25}),
        {"components": [{"type": 1, "components": [{"type": 2, "style": 1, "label": "x", "custom_id": "x"}]}]},
    ],
)
def test_messages_within_the_limits_are_taken(payload: Json) -> None:
    assert check_message(payload) is None


@pytest.mark.parametrize(
    "payload",
    [
        _embeds(*[{"title": "x"}] * 11),
        _embeds({"title": "t" * 257}),
        _embeds({"description": "d" * 4097}),
        _embeds({"fields": [{"name": "n", "value": "v"}] * 26}),
        _embeds({"fields": [{"name": "n", "value": "v" * 1025}]}),
        _embeds({"fields": [{"name": " ", "value": "v"}]}),
        _embeds({"footer": {"text": "f" * 2049}}),
        _embeds({"author": {"name": "a" * 257}}),
        _embeds({"fields": [_FIELD] * 4, "footer": {"text": "f" * 881}}),
        _embeds({"description": "d" * 3000}, {"description": "d" * 3001}),
        _embeds({"image": {"url": "attachment://missing.png"}}),
    ],
)
def test_embeds_beyond_the_limits_are_refused(payload: Json) -> None:
    problem = check_message(payload)
    assert problem is not None
    assert problem.code == 50035


@pytest.mark.parametrize(
    ("payload", "is_empty"),
    [
        ({"content": ""}, False),
        ({"content": "", "attachments": []}, True),
        ({"content": None, "components": []}, False),
        ({"attachments": []}, False),
    ],
)
def test_an_edit_must_leave_something(payload: dict[str, Any], is_empty: bool) -> None:
    server_side: Any = None
    message = Message(server_side, server_side, "text", files=[new_file("a.txt", b"a")])
    problem = check_message(payload, before=message)
    assert (problem is not None) == is_empty
