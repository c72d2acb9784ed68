"""The routes of the pages: those that people and programs may ask for, and those that only the pages themselves use."""

from api.route import AUTHENTICATED, HTML, Route
from api.web import assets, playground, state
from api.web.contract import StateReply

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/",
        handler=playground.playground,
        summary="The start page: a chat with the model",
        tag="Operations",
        reply_type=HTML,
    ),
    Route(
        method="GET",
        path="/state.json",
        handler=state.state,
        summary="How the service is, and what the caller's calls of the last hour and 30 days came to; costs no call",
        tag="Operations",
        reply=StateReply,
        needs_token=True,
        errors=AUTHENTICATED,
    ),
)
"""In the OpenAPI document."""

SERVED: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/static/{version}/{name}",
        handler=assets.serve,
        summary="A file of the pages",
        tag="Pages",
    ),
)
"""Not in the OpenAPI document: their addresses and fields may change with any release."""
