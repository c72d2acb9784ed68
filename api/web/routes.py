"""The routes of the pages: those that people and programs may ask for, and those that only the pages themselves use."""

from api.route import AUTHENTICATED, HTML, Route
from api.web import assets, discord_login, login, playground, state, tokens, usage
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
        path="/tokens",
        handler=tokens.tokens,
        summary="The page of API tokens; whoever is not logged in sees how to",
        tag="Pages",
        reply_type=HTML,
    ),
    Route(
        method="GET",
        path="/usage",
        handler=usage.usage,
        summary="The page of what was used, and of how the service is",
        tag="Pages",
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
    Route(method="GET", path="/login", handler=login.login, summary="The ways to log in", tag="Pages"),
    Route(method="POST", path="/login.json", handler=login.redeem, summary="Use the operator's link", tag="Pages"),
    Route(method="GET", path="/login/discord", handler=discord_login.start, summary="Log in with Discord", tag="Pages"),
    Route(
        method="GET",
        path=discord_login.CALLBACK_PATH,
        handler=discord_login.callback,
        summary="Come back from Discord",
        tag="Pages",
    ),
    Route(method="POST", path="/logout", handler=login.logout, summary="Log out", tag="Pages"),
    *(
        Route(method=method, path=f"/tokens/{name}", handler=handler, summary=summary, tag="Pages")
        for name, change, summary in (
            ("create", tokens.create, "Make an API token"),
            ("change", tokens.change, "Change an API token's name and limits"),
            ("rotate", tokens.rotate, "Give an API token a new secret"),
            ("revoke", tokens.revoke, "End an API token"),
        )
        for method, handler in (("POST", change), ("GET", tokens.again))
    ),
)
"""Not in the OpenAPI document: their addresses and fields may change with any release."""
