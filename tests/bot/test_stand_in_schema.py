"""What the stand-in Discord answers, held against Discord's own OpenAPI document.

The document is large and changes often, so it is not kept here: put a copy of
https://github.com/discord/discord-api-spec/blob/main/specs/openapi.json beside the project as
`shared/specs/discord-openapi.json`, or name it in `DISCORD_OPENAPI`.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.bot.conftest import StartBot
from tests.bot.scripted_api import ScriptedApi
from tests.doubles.discord_model import MEMBER_PERMISSIONS, VIEW_AUDIT_LOG, Json
from tests.doubles.discord_probe import Probe
from tests.doubles.discord_server import DiscordServer

_BESIDE_THE_PROJECT = Path(__file__).parents[3] / "shared/specs/discord-openapi.json"

_SCHEMAS = {
    "GET /users/@me": "UserPIIResponse",
    "GET /oauth2/applications/@me": "PrivateApplicationResponse",
    "POST /interactions/{interaction}/{token}/callback": "InteractionCallbackResponse",
    "PATCH /webhooks/{application}/{token}/messages/@original": "MessageResponse",
    "POST /webhooks/{application}/{token}": "MessageResponse",
    "POST /channels/{channel}/messages": "MessageResponse",
    "POST /users/@me/channels": "PrivateChannelResponse",
}

_MORE_SCHEMAS = {
    "GET /users/{user}": "UserResponse",
    "GET /guilds/{guild}/members/{user}": "GuildMemberResponse",
    "GET /guilds/{guild}/audit-logs": "GuildAuditLogResponse",
    "GET /channels/{channel}": "GuildChannelResponse",
    "GET /channels/{channel}/messages": "MessageResponse",
    "GET /channels/{channel}/messages/{message}": "MessageResponse",
    "PATCH /channels/{channel}/messages/{message}": "MessageResponse",
    "GET /webhooks/{application}/{token}/messages/@original": "MessageResponse",
    "PATCH /webhooks/{application}/{token}/messages/@original": "MessageResponse",
    "PATCH /webhooks/{application}/{token}/messages/{message}": "MessageResponse",
    "POST /webhooks/{application}/{token}": "MessageResponse",
    "POST /channels/{channel}/messages": "MessageResponse",
    "POST /interactions/{interaction}/{token}/callback": "InteractionCallbackResponse",
    "PUT /applications/{application}/commands": "ApplicationCommandResponse",
}

_RICH = {
    "content": "rich",
    "embeds": [{"title": "t", "fields": [{"name": "n", "value": "v"}], "footer": {"text": "f"}}],
    "components": [
        {
            "type": 1,
            "components": [
                {"type": 2, "style": 1, "label": "Go", "custom_id": "go", "emoji": {"id": None, "name": "⏹"}}
            ],
        },
        {
            "type": 1,
            "components": [{"type": 3, "custom_id": "pick", "options": [{"label": "l", "value": "v", "emoji": None}]}],
        },
    ],
}
_FORM = {"custom_id": "form", "title": "t"}
_INPUT = {"type": 4, "custom_id": "why", "style": 1, "required": False}


@pytest.fixture(scope="module")
def components() -> Any:
    path = Path(os.environ.get("DISCORD_OPENAPI", _BESIDE_THE_PROJECT))
    if not path.exists():
        pytest.skip("NOT CHECKED: there is no copy of Discord's OpenAPI document, see this file's first lines")
    return json.loads(path.read_text())["components"]


async def _use_everything(server: DiscordServer, api: ScriptedApi) -> None:
    """Let the bot call every route in the table."""
    channel, ada = server.channel(server.state.guilds[0]), server.user("Ada")
    dm = server.dm(ada)
    await server.user_says(dm, ada, "hello")
    await server.posted(dm)
    api.script.append("long " * 700)
    await (await server.slash(ada, dm, "chat", message="go on")).replied(2)
    await (await server.slash(ada, dm, "chat", message="\x00")).replied()
    api.hold()
    late = await server.slash(ada, dm, "chat", message="old", private=True)
    await api.arrived(3)
    late.is_expired = True
    api.release()
    await server.posted(dm, 4)
    assert channel.messages == []


async def test_every_answer_has_discords_own_shape(
    components: Any, server: DiscordServer, api: ScriptedApi, start_bot: StartBot
) -> None:
    server.guild()
    await start_bot()
    await _use_everything(server, api)
    checked = set()
    for call in server.calls:
        if call.status == 200 and call.route in _SCHEMAS:
            schema = {"$ref": f"#/components/schemas/{_SCHEMAS[call.route]}", "components": components}
            Draft202012Validator(schema).validate(call.reply)
            checked.add(call.route)
    assert checked == set(_SCHEMAS)
    schema = {"$ref": "#/components/schemas/ApplicationCommandResponse", "components": components}
    for command in server.state.commands:
        Draft202012Validator(schema).validate(command)


async def _use_what_parley_does_not(probe: Probe) -> None:
    """Ask for every route in the second table, of things as rich as they get."""
    server, ada = probe.server, probe.server.user("Ada")
    guild = server.guild(bot_permissions=MEMBER_PERMISSIONS | VIEW_AUDIT_LOG)
    ada.roles.append(server.role(guild, "Testers"))
    channel, forum = server.channel(guild), server.forum(guild)
    await probe.listen()
    await server.join(guild, inviter=ada)
    localised = {"name_localizations": {"de": "hallo"}, "description_localizations": {"de": "Hallo"}}
    await probe.register({"name": "hi", "description": "Hi", **localised}, {"name": "Ask", "type": 3})
    await probe.ask("POST", f"/channels/{channel.id}/messages", _RICH, files={"a.png": b"", "b.txt": b"b"})
    message = channel.messages[0]
    there = f"/channels/{channel.id}/messages/{message.id}"
    server.thread(channel, starter=message)
    await probe.ask("PATCH", there, {"content": "edited"})
    await server.user_says(channel, ada, "hello", mentions_bot=True, reply_to=message)
    for path in (there, f"/channels/{channel.id}/messages", f"/channels/{channel.id}", f"/channels/{forum.id}"):
        await probe.ask("GET", path)
    for path in ("audit-logs", f"members/{ada.id}"):
        await probe.ask("GET", f"/guilds/{guild.id}/{path}")
    await probe.ask("GET", f"/users/{ada.id}")
    menu = await server.message_menu(ada, channel, "Ask", message)
    await probe.answer(menu, 4, **_RICH)
    pressed = [await server.press(ada, message, "go") for _ in range(3)]
    await probe.answer(pressed[0], 7, **_RICH)
    await probe.answer(pressed[1], 5)
    await probe.original("PATCH", pressed[1], content="first")
    await probe.original("GET", pressed[1])
    await probe.ask("POST", probe.webhook(pressed[1]), {"content": "second"}, token=None)
    second = pressed[1].replies[1].id
    await probe.ask("PATCH", f"{probe.webhook(pressed[1])}/messages/{second}", {"content": "third"}, token=None)
    await probe.answer(pressed[2], 9, **_FORM, components=[{"type": 18, "label": "Why?", "component": _INPUT}])
    await probe.answer(await server.submit(ada, pressed[2], {}), 4, content="thanks")


async def test_every_other_answer_has_discords_own_shape_too(components: Any) -> None:
    async with Probe() as probe:
        await _use_what_parley_does_not(probe)
        assert probe.server.state.breaches == []
        checked = set()
        for call in probe.server.calls:
            assert call.status == 200, call
            if call.route in _MORE_SCHEMAS:
                _validate(call.reply, _MORE_SCHEMAS[call.route], components)
                checked.add(call.route)
        assert checked == set(_MORE_SCHEMAS)
        for name, event in probe.heard:
            if name in ("MESSAGE_CREATE", "MESSAGE_UPDATE"):
                _validate(event, "MessageResponse", components)


def _validate(reply: Json | list[Json], name: str, components: Any) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": components}
    for each in reply if isinstance(reply, list) else [reply]:
        Draft202012Validator(schema).validate(each)
