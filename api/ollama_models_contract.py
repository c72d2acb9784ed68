"""The wire of what the Ollama dialect says of models.

Imports pydantic and the native contract's shared types. Source of the form:
https://github.com/ollama/ollama/blob/main/docs/openapi.yaml.
"""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, model_validator

from api.contract import Strict, Text
from api.lenient import no_nulls


class OllamaDetails(BaseModel):
    """A model in a few words. `parent_model` is the model that an adapter is loaded on."""

    parent_model: str
    format: str = "gguf"
    family: str
    families: list[str]
    parameter_size: str
    quantization_level: str = "unknown"


class OllamaModel(BaseModel):
    """One entry of `GET /api/tags`. `size` is bytes; `digest` names what is served, it is not the file's."""

    name: str
    model: str
    modified_at: datetime
    size: int
    digest: str
    details: OllamaDetails


class OllamaModels(BaseModel):
    """Reply of `GET /api/tags`."""

    models: list[OllamaModel]


class OllamaRunning(BaseModel):
    """One entry of `GET /api/ps`. `context_length` is the largest `num_ctx`, tokens."""

    name: str
    model: str
    size: int
    digest: str
    details: OllamaDetails
    expires_at: datetime
    size_vram: int
    context_length: int


class OllamaRunningModels(BaseModel):
    """Reply of `GET /api/ps`."""

    models: list[OllamaRunning]


class OllamaShowRequest(Strict):
    """Body of `POST /api/show`."""

    model: Annotated[Text | None, Field(description="a name from GET /api/tags")] = None
    name: Annotated[Text | None, Field(description="the same, as older clients call it")] = None
    verbose: Annotated[bool | None, Field(description="has no effect")] = None

    _drop_nulls = model_validator(mode="before")(no_nulls)

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if not self.wanted:
            raise ValueError("model: say which, by a name from GET /api/tags")
        return self

    @property
    def wanted(self) -> str:
        """The name that was asked for."""
        return self.model or self.name or ""


class OllamaShowReply(BaseModel):
    """Reply of `POST /api/show`. `parameters` are the defaults of `options`; `model_info` is as the file has it."""

    modelfile: str
    parameters: str
    template: str = ""
    license: str = ""
    details: OllamaDetails
    model_info: dict[str, Any]
    capabilities: list[str]
    modified_at: datetime


class OllamaVersion(BaseModel):
    """Reply of `GET /api/version`."""

    version: str
