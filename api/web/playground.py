"""`/`: the start page, where people talk to the model.

Owns: what the page is told when it is made. Does not own: the conversation, which is the browser's; each reply is an
ordinary call of `POST /ai/chat` with the visitor's own API token (`../static/chat.js`).
"""

from aiohttp import web

from api import keys
from api.abilities import describe
from api.examples.catalogue import LANGUAGES, TOKEN_VARIABLE
from api.web.option_fields import option_fields
from api.web.pages import show


async def playground(request: web.Request) -> web.Response:
    """Answer `GET /`."""
    config = request.app[keys.CONFIG]
    facts = {
        "models": config.models.all,
        "maxBodyBytes": config.max_body_bytes,
        "tokenVariable": TOKEN_VARIABLE,
        "fields": [{"name": each.name, "kind": each.kind} for each in option_fields()],
    }
    return show(
        request,
        "chat.html",
        facts=facts,
        fields=option_fields(),
        models=config.models.all,
        languages=LANGUAGES,
        notes=list(describe(config.abilities)),
        token_variable=TOKEN_VARIABLE,
    )
