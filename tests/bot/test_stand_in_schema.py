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
