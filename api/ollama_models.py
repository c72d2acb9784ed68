"""What the Ollama dialect says of models: `GET /api/tags`, `POST /api/show`, `GET /api/ps`, `GET /api/version`.

Owns: these four, and Ollama's names of models. Does not own: which models there are (`model_names.py`), their wire
(`ollama_models_contract.py`).
"""

import hashlib
from datetime import UTC, datetime

from aiohttp import web

from api import keys
from api.body import read_object, validate
from api.calls import identified
from api.contract import SamplingFields
from api.errors import ApiError
from api.model_names import ModelNames
from api.ollama_dialect import model_not_found
from api.ollama_models_contract import (
    OllamaDetails,
    OllamaModel,
    OllamaModels,
    OllamaRunning,
    OllamaRunningModels,
    OllamaShowReply,
    OllamaShowRequest,
    OllamaVersion,
)
from api.route import AUTHENTICATED, Route
from generation.engine import EngineState, Message, ModelInfo
from generation.errors import ToolsRefusedError

SPOKEN_RELEASE = "0.32.9"
"""The release of Ollama whose form is spoken here, the last with a `repeat_penalty` of 1.1. Clients compare it before
they use a feature."""

LATEST = ":latest"
"""What Ollama adds to a name without a tag, in its lists; a name is the same with and without."""

NEVER = datetime(2318, 1, 1, tzinfo=UTC)
"""When a model that is never unloaded expires: Ollama says so for `keep_alive` -1, about 292 years ahead."""

_PROBE = {"type": "function", "function": {"name": "probe", "parameters": {"type": "object", "properties": {}}}}


def find_adapter(asked: str, names: ModelNames) -> str | None:
    """Give what goes into `SamplingOptions.adapter`; raises Ollama's 404 for an unknown name."""
    name = asked if asked in names.all else asked.removesuffix(LATEST)
    try:
        return names.find_adapter(name)
    except ApiError:
        raise model_not_found(asked) from None


async def tags(request: web.Request) -> web.Response:
    """List what `model` may name; costs no call."""
    await identified(request)
    info = request.app[keys.ENGINE].model
    models = [
        OllamaModel(**_common(name, info), modified_at=_started_at(request), details=_details(request, name, info))
        for name in request.app[keys.CONFIG].models.all
    ]
    return web.json_response(text=OllamaModels(models=models).model_dump_json())


async def ps(request: web.Request) -> web.Response:
    """List what is loaded: all of it, or nothing while the engine restarts; costs no call."""
    await identified(request)
    config, engine = request.app[keys.CONFIG], request.app[keys.ENGINE]
    names = config.models.all if engine.status.state is EngineState.READY else ()
    models = [
        OllamaRunning(
            **_common(name, engine.model),
            details=_details(request, name, engine.model),
            expires_at=NEVER,
            size_vram=0,
            context_length=config.context_tokens,
        )
        for name in names
    ]
    return web.json_response(text=OllamaRunningModels(models=models).model_dump_json())


async def show(request: web.Request) -> web.Response:
    """Describe one name that `model` may have; costs no call."""
    await identified(request)
    asked = validate(OllamaShowRequest, await read_object(request, needs_content_type=False))
    models, info = request.app[keys.CONFIG].models, request.app[keys.ENGINE].model
    name = models.name_of(find_adapter(asked.wanted, models))
    defaults = SamplingFields().model_dump(exclude_none=True)
    reply = OllamaShowReply(
        modelfile=f"FROM {name}",
        parameters="\n".join(f"{option:<30} {value}" for option, value in defaults.items()),
        details=_details(request, name, info),
        model_info={
            "general.architecture": info.architecture,
            "general.parameter_count": info.parameters,
            f"{info.architecture}.context_length": info.trained_context,
        },
        capabilities=["completion", "tools"] if await _knows_tools(request) else ["completion"],
        modified_at=_started_at(request),
    )
    return web.json_response(text=reply.model_dump_json())


async def version(request: web.Request) -> web.Response:  # noqa: ARG001 - every handler takes the request
    """Say which release of Ollama is spoken; needs no token."""
    return web.json_response(text=OllamaVersion(version=SPOKEN_RELEASE).model_dump_json())


async def _knows_tools(request: web.Request) -> bool:
    try:
        await request.app[keys.ENGINE].encode_chat([Message("user", "?")], [_PROBE])
    except ToolsRefusedError:
        return False
    return True


def _common(name: str, info: ModelInfo) -> dict[str, str | int]:
    full = name if ":" in name else name + LATEST
    # Names what is served, for clients that compare; the file itself is not read again for it.
    digest = hashlib.sha256(f"{name} {info.size_bytes} {info.parameters}".encode()).hexdigest()
    return {"name": full, "model": full, "size": info.size_bytes, "digest": digest}


def _details(request: web.Request, name: str, info: ModelInfo) -> OllamaDetails:
    base = request.app[keys.CONFIG].models.base
    return OllamaDetails(
        parent_model="" if name == base else base,
        family=info.architecture,
        families=[info.architecture],
        parameter_size=_short(info.parameters),
    )


def _short(parameters: int) -> str:
    """Say a number of weights as Ollama does: 1.1B, 270M."""
    for unit, letter in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if parameters >= unit:
            return f"{parameters / unit:.1f}{letter}"
    return str(parameters)


def _started_at(request: web.Request) -> datetime:
    return datetime.fromtimestamp(request.app[keys.STARTED_AT], UTC)


ROUTES = (
    Route(
        method="GET",
        path="/api/tags",
        handler=tags,
        summary="Names that `model` may have",
        tag="Ollama",
        reply=OllamaModels,
        needs_token=True,
        errors=AUTHENTICATED,
    ),
    Route(
        method="POST",
        path="/api/show",
        handler=show,
        summary="One name that `model` may have",
        tag="Ollama",
        body=OllamaShowRequest,
        reply=OllamaShowReply,
        needs_token=True,
        errors=(400, 401, 403, 404, 408, 413, 500, 503),
    ),
    Route(
        method="GET",
        path="/api/ps",
        handler=ps,
        summary="What is loaded",
        tag="Ollama",
        reply=OllamaRunningModels,
        needs_token=True,
        errors=AUTHENTICATED,
    ),
    Route(
        method="GET",
        path="/api/version",
        handler=version,
        summary="The release of Ollama whose form is spoken",
        tag="Ollama",
        reply=OllamaVersion,
    ),
)
