"""Renders a model's own chat template, as transformers does, without an engine's help.

The template is code that came with the model file, so it runs in Jinja's sandbox: it may compute and format, and
reaches nothing else. Owns: the environment templates are written for. Does not own: tokens (`text_tokens.py`), nor what
to try when a template refuses (`encoder.py`).

Environment: https://huggingface.co/docs/transformers/chat_templating_writing
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""What llama.cpp takes for a file without a template."""


class TemplateFailedError(Exception):
    """The template cannot be compiled, or refuses these messages."""


class ChatTemplate:
    """One model's template. `bos` and `eos` are texts of its tokens; raises `TemplateFailedError` if it is no Jinja."""

    def __init__(self, source: str | None, *, bos: str, eos: str) -> None:
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = _strftime_now
        self._names = {"bos_token": bos, "eos_token": eos}
        try:
            self._template = environment.from_string(source or CHATML)
        except jinja2.TemplateError as error:
            raise TemplateFailedError from error

    def render(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None = None) -> str:
        """Render a conversation up to where the assistant begins to speak, and the tools it may call there.

        Raises `TemplateFailedError` when the template refuses, or cannot cope with, these messages.
        """
        try:
            return self._template.render(
                messages=messages,
                add_generation_prompt=True,
                enable_thinking=False,
                tools=tools or None,
                **self._names,
            )
        except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise TemplateFailedError from error


def is_template(source: str | None) -> bool:
    """Say whether a model's template can be read at all; none is none to fail."""
    try:
        ChatTemplate(source, bos="", eos="")
    except TemplateFailedError:
        return False
    return True


def _to_json(value: object, indent: int | None = None) -> str:
    """Write JSON as it is: Jinja's own filter escapes it for HTML."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.now().astimezone().strftime(pattern)
