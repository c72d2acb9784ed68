"""How the Ollama dialect says errors, so that unmodified clients show and recognise them.

Does not own: when an error is raised (`errors.py`), the dialect's routes (`ollama.py`, `ollama_models.py`).
Source of the form and of the two texts that programs look for: Ollama's own `server/routes.go`
(https://github.com/ollama/ollama), `handleScheduleError` in it.
"""

from types import MappingProxyType
from typing import ClassVar

from api.contract import SamplingFields
from api.dialect import Dialect
from api.errors import ApiError, Kind
from api.ollama_contract import OllamaError

_OPTIONS = {name: f"options.{name}" for name in SamplingFields.model_fields}


class OllamaDialect(Dialect):
    """Everything below the paths of Ollama that Parley has, and of those that it has not."""

    name = "Ollama"
    prefixes: ClassVar = tuple(
        f"/api/{name}"
        for name in (
            *("chat", "tags", "show", "ps", "version"),
            *("embed", "embeddings", "pull", "push", "create", "copy", "delete", "blobs"),
        )
    )
    error_reply = OllamaError
    field_names = MappingProxyType({**_OPTIONS, "PARLEY_LORA": "model"})

    def error_body(self, error: ApiError, request_id: str) -> OllamaError:
        """Say a refusal in one text; the request's id stands in its header."""
        del request_id
        if error.kind is Kind.BUSY:
            # Two blanks, as there.
            return OllamaError(error=f"server busy, please try again.  {error.full_message}")
        return OllamaError(error=error.full_message)


class OllamaGenerateDialect(OllamaDialect):
    """`POST /api/generate`, where the conversation is one prompt."""

    prefixes = ("/api/generate",)
    field_names = MappingProxyType({**OllamaDialect.field_names, "messages": "prompt"})


OLLAMA = OllamaDialect()
OLLAMA_GENERATE = OllamaGenerateDialect()


def model_not_found(name: str) -> ApiError:
    """Build the 404 whose words Ollama's clients know."""
    message = f'model "{name[:80]}" not found, try pulling it first'
    return ApiError(404, "Not found", message, kind=Kind.UNKNOWN_MODEL)
