"""What `/openapi.json` and `/docs` answer.

Owns: the text of both, made when somebody first asks, since most starts of a service are over before that and it
takes a quarter of a second. Does not own: what the document says (`openapi.py`) or the examples (`examples/`).
"""

import asyncio
import json
import re
from collections.abc import Sequence
from functools import cached_property
from importlib.resources import files
from typing import Any

from jinja2 import Environment, select_autoescape
from markupsafe import Markup, escape

from api.config import ApiConfig
from api.dialect import Dialects
from api.examples.catalogue import LANGUAGES, TOKEN_VARIABLE
from api.examples.page import show_examples
from api.openapi import build_document
from api.route import Route


class Documentation:
    """The OpenAPI document and its page, about this service's own address, model and engine."""

    def __init__(self, routes: Sequence[Route], dialects: Dialects, config: ApiConfig) -> None:
        self._routes = routes
        self._dialects = dialects
        self._config = config

    async def document(self) -> str:
        """Return the OpenAPI document as JSON."""
        return await asyncio.to_thread(lambda: self._json)

    async def page(self) -> str:
        """Return the page as HTML."""
        return await asyncio.to_thread(lambda: self._page)

    @cached_property
    def _document(self) -> dict[str, Any]:
        return build_document(self._routes, self._dialects, self._config.public_url, self._config.abilities)

    @cached_property
    def _json(self) -> str:
        return json.dumps(self._document)

    @cached_property
    def _page(self) -> str:
        environment = Environment(autoescape=select_autoescape(default=True))
        environment.filters["code"] = _mark_code
        template = environment.from_string(files("api").joinpath("templates/docs.html").read_text("utf-8"))
        return template.render(
            document=self._document,
            languages=LANGUAGES,
            token_variable=TOKEN_VARIABLE,
            shelves=show_examples(self._config.public_url, self._config.model_name),
        )


def _mark_code(text: str) -> Markup:
    """Show what stands between backticks as code; everything is escaped first."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped above
