"""Asks a server what it is: cheap enough to be asked again whenever it comes back.

Owns: telling the kinds apart, and the model that is meant. Does not own: which options work (`probing.py`).

vLLM: https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
llama-server: https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
"""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from generation.client import EngineRefusedError
from generation.engine import Message, ModelInfo
from generation.errors import EngineUnavailableError, ModelError, TemplateRefusedError
from generation.remote.facts import Facts, Kind
from generation.remote.vllm_tokenizer import VllmTokenizer
from generation.remote.wire import RemoteClient
from generation.server_tokenizer import ServerTokenizer

_TEXT = "Größe 42?\n  <b>é</b> 你好 \U0001f600\tYes."
"""White space, digits, several scripts and what looks like mark-up: where vocabularies differ."""

_TRIAL = [Message("user", _TEXT), Message("assistant", " Yes.\n"), Message("user", "And?")]

_MOST_NAMES = 200
_LONGEST_NAME = 200
_NAMED = 5
_MOST_CONTEXT = 1 << 24

_CONTEXT_FIELDS = ("max_model_len", "context_length", "context_window", "max_input_tokens")
"""vLLM's, and what gateways call it."""


class WrongServerError(ModelError):
    """It answers, and will never do: another try makes no sense before somebody changes something."""


async def look(client: RemoteClient, wanted: str | None) -> Facts:
    """Find out what a server is. `wanted` is the model's name, None for the only one it has.

    Raises `WrongServerError` with a phrase about the server, `EngineUnavailableError`.
    """
    entries = await _list_models(client)
    try:
        properties = await _ask(client.get("/props"))
        if isinstance(properties, Mapping) and _slot_context(properties):
            return await _look_at_llama_server(client, properties, entries, wanted)
        entry = _choose(entries, wanted)
        return await _look_at_vllm(client, entry, entries) or _chat_facts(entry, entries)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise EngineUnavailableError("it answers with something else than it should") from error


async def _list_models(client: RemoteClient) -> list[Mapping[str, Any]]:
    try:
        document = await client.get("/v1/models")
    except EngineRefusedError as error:
        raise WrongServerError(_explain(error.status)) from None
    data = document.get("data") if isinstance(document, Mapping) else None
    if not isinstance(data, list):
        raise WrongServerError("does not speak as OpenAI's servers do; set the address that ends before /models")
    return [each for each in data[:_MOST_NAMES] if isinstance(each, Mapping) and _is_name(each.get("id"))]


def _is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and name.isprintable()


def _explain(status: int) -> str:
    match status:
        case 401 | 403:
            return f"refuses the key (status {status}); set PARLEY_ENGINE_API_KEY to the one it takes"
        case 404 | 405:
            return f"has no /v1/models (status {status}); set the address that ends before /models"
        case _ if 300 <= status < 400:
            return f"sends elsewhere (status {status}), which is not followed; set the address it sends to"
        case _:
            raise EngineUnavailableError(f"it answers with status {status}")


async def _ask(question: Any) -> Any:
    """Await what a server may not know; some answer with a page for people."""
    try:
        return await question
    except (EngineRefusedError, TemplateRefusedError):
        return None
    except EngineUnavailableError as error:
        if isinstance(error.__cause__, EngineRefusedError | ValueError):
            return None
        raise


def _choose(entries: Sequence[Mapping[str, Any]], wanted: str | None) -> Mapping[str, Any]:
    if not entries:
        raise WrongServerError("has no models; load one there")
    if wanted is not None:
        found = next((each for each in entries if wanted in {each["id"], *_aliases(each)}), None)
        if found is None:
            raise WrongServerError(f"has no model of the name in PARLEY_MODEL; it has {_name_some(entries)}")
        return found
    bases = [each for each in entries if not each.get("parent")]
    if len(bases) != 1:
        raise WrongServerError(f"has several models; set PARLEY_MODEL to one of {_name_some(entries)}")
    return bases[0]


def _aliases(entry: Mapping[str, Any]) -> list[str]:
    aliases = entry.get("aliases")
    return [each for each in aliases if isinstance(each, str)] if isinstance(aliases, list) else []


def _name_some(entries: Sequence[Mapping[str, Any]]) -> str:
    names = [each["id"] for each in entries]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _slot_context(properties: Mapping[str, Any]) -> int:
    """Read the context of one slot; llama-server in its router mode, which may have any model, has none."""
    settings = properties.get("default_generation_settings")
    return _count(settings.get("n_ctx")) if isinstance(settings, Mapping) else 0


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 < value <= _MOST_CONTEXT else 0


async def _look_at_llama_server(
    client: RemoteClient, properties: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], wanted: str | None
) -> Facts:
    entry = _choose(entries, None if wanted is not None and wanted == _shown(str(entries[0]["id"])) else wanted)
    meta = entry.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    name = wanted or _shown(entry["id"])
    return Facts(
        kind=Kind.LLAMA_SERVER,
        names=(name, *_name_adapters(await _ask(client.get("/lora-adapters")), taken=name)),
        upstream=entry["id"],
        context_tokens=_slot_context(properties),
        model=ModelInfo(
            name=name,
            size_bytes=int(meta.get("size") or 0),
            trained_context=int(meta.get("n_ctx_train") or 0),
            parameters=int(meta.get("n_params") or 0),
        ),
        vocabulary_size=_count(meta.get("n_vocab")),
        sample=tuple(await ServerTokenizer(client.post).tokenize(_TEXT)),
    )


def _name_adapters(entries: object, *, taken: str) -> list[str]:
    """Name LoRA adapters by their files, in the order of their numbers; a name that is taken gets its number, too."""
    names: list[str] = []
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        name = PurePosixPath(str(entry["path"]).replace("\\", "/")).stem
        names.append(f"{name}-{number}" if name in {taken, *names} else name)
    return names


def _shown(name: str) -> str:
    """Call a model that was given as a file by the file's name: its folder is nobody's business."""
    return PurePosixPath(name.replace("\\", "/")).stem if name.endswith(".gguf") else name


async def _look_at_vllm(
    client: RemoteClient, entry: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]
) -> Facts | None:
    """Recognise vLLM by what is needed of it: ids for messages, and texts for ids that come back as the same ids."""
    tokenizer = VllmTokenizer(client.post, model=entry["id"])
    ids, said_context = await _ask(tokenizer.encode_messages(_TRIAL)) or ([], 0)
    if not ids or any(not isinstance(each, int) for each in ids):
        return None
    text = await _ask(tokenizer.detokenize(ids))
    if not isinstance(text, str) or await _ask(tokenizer.tokenize(text)) != ids:
        return None
    name = entry["id"]
    adapters = [each["id"] for each in entries if each.get("parent") == name]
    return Facts(
        kind=Kind.VLLM,
        names=(name, *adapters),
        upstream=name,
        context_tokens=_read_context(entry) or _count(said_context) or None,
        model=ModelInfo(name=name, size_bytes=0, trained_context=_read_context(entry), parameters=0),
        # Not the trial's: many templates write today's date.
        sample=tuple(await tokenizer.tokenize(_TEXT)),
    )


def _chat_facts(entry: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> Facts:
    name = entry["id"]
    context_tokens = _read_context(entry)
    return Facts(
        kind=Kind.CHAT,
        names=(name, *dict.fromkeys(each["id"] for each in entries if each["id"] != name)),
        upstream=name,
        context_tokens=context_tokens or None,
        model=ModelInfo(name=name, size_bytes=0, trained_context=context_tokens, parameters=0),
    )


def _read_context(entry: Mapping[str, Any]) -> int:
    return next((count for name in _CONTEXT_FIELDS if (count := _count(entry.get(name)))), 0)
