"""Tells whether what was computed then would be computed now: the same model, template, adapter, engine and settings.

Owns: what counts. A model file counts by its size, its time of change and parts of its content all over it; reading all
of one can take longer than loading it. Does not own: what is done with the answer (`warmth.py`).
"""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

from generation.adapters import Adapter
from generation.child import ChildSettings
from generation.gguf_file import GgufHeader

_FORM = 1
"""Of the kept files themselves; counts up when an older Parley's can no longer be used."""

_SAMPLES = 64
_SAMPLE_BYTES = 64 * 1024
_DIGEST_BYTES = 16


def fingerprint(settings: ChildSettings, header: GgufHeader, adapter: Adapter | None) -> str:
    """Return a short text that differs wherever a reply could. Reads parts of the files; raises `OSError`."""
    facts = {
        "form": _FORM,
        "engine": _describe_engine(settings),
        "model": _describe_file(Path(settings.model_path)),
        "template": header.chat_template,
        "adapter": None if adapter is None else _describe_file(adapter.path),
        "context_tokens": settings.context_tokens,
        "slots": settings.slots,
        "batch_tokens": settings.batch_tokens,
        # The values lie in another order.
        "has_plain_attention": settings.has_plain_attention,
    }
    return hashlib.blake2b(json.dumps(facts).encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _describe_engine(settings: ChildSettings) -> object:
    if settings.server_binary is None:
        return f"xllamacpp {version('xllamacpp')}"
    found = Path(settings.server_binary).stat()
    return [settings.server_binary, found.st_size, found.st_mtime_ns]


def _describe_file(path: Path) -> object:
    found = path.stat()
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    with path.open("rb") as file:
        for sample in range(_SAMPLES):
            file.seek(max(0, found.st_size - _SAMPLE_BYTES) * sample // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return [found.st_size, found.st_mtime_ns, digest.hexdigest()]
