"""`/usage`: what was used, and how the service is. The page asks `GET /state.json` again and again.

Does not own: whose calls a visitor may see (`state.py`), or the charts (`../static/charts.js`).
"""

from aiohttp import web

from api import keys
from api.web.pages import show


async def usage(request: web.Request) -> web.Response:
    """Answer `GET /usage`: to whoever is logged in, and to whoever has an API token in the browser."""
    sessions = request.app[keys.SESSIONS]
    session = sessions.find(request)
    return show(
        request,
        "usage.html",
        session=session,
        form_token=lambda: "" if session is None else sessions.form_token(session),
    )
