"""How a request's body becomes a message, or changes one, and what Discord refuses about it.

Sources: https://discord.com/developers/docs/resources/message#create-message,
https://discord.com/developers/docs/resources/message#edit-message,
https://discord.com/developers/docs/resources/message#embed-object-embed-limits,
https://discord.com/developers/docs/resources/message#allowed-mentions-object and
https://discord.com/developers/docs/reference#uploading-files.
"""

import json
import re
from collections.abc import Iterator, Mapping

from tests.doubles.discord_ask import Problem, invalid
from tests.doubles.discord_basics import COMPONENTS_V2, LOADING, SUPPRESS_EMBEDS, SUPPRESS_NOTIFICATIONS, Json
from tests.doubles.discord_component_limits import check_components
from tests.doubles.discord_messages import File, Message, with_ids

MAX_CONTENT = 2000
MAX_NONCE = 25
MAX_NAMED_MENTIONS = 100
MAX_EMBEDS = 10
MAX_EMBED_CHARACTERS = 6000
MAX_EMBED_FIELDS = 25
MAX_FILES = 10
MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_FILE_DESCRIPTION = 1024

_SETTABLE_FLAGS = SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS | COMPONENTS_V2
_REFERENCE = re.compile(r'"attachment://([^"]+)"')
_EMPTY = Problem(400, 50006, "Cannot send an empty message")
_TOO_LARGE = Problem(413, 40005, "Request entity too large")


def check_message(
    payload: Json, uploads: Mapping[int, File] | None = None, *, before: Message | None = None
) -> Problem | None:
    """Return what Discord would refuse about a message's body, or None. `before` is the message that it changes."""
    uploads = uploads or {}
    if any(len(file.data) > MAX_FILE_BYTES for file in uploads.values()):
        return _TOO_LARGE
    problem = next(_problems(payload, uploads, before), None)
    if problem is not None:
        return invalid(problem)
    return _EMPTY if _would_be_empty(payload, uploads, before) else None


def _problems(payload: Json, uploads: Mapping[int, File], before: Message | None) -> Iterator[str]:
    if len(payload.get("content") or "") > MAX_CONTENT:
        yield "content: Must be 2000 or fewer in length."
    allowed = payload.get("allowed_mentions") or {}
    for kind in ("users", "roles"):
        named = allowed.get(kind) or []
        if len(named) > MAX_NAMED_MENTIONS or (named and kind in allowed.get("parse", [])):
            yield f"allowed_mentions: {len(named)} {kind}, parse {allowed.get('parse')}"
    if len(str(payload.get("nonce") or "")) > MAX_NONCE:
        yield f"nonce: Must be {MAX_NONCE} or fewer in length."
    yield from _embed_problems(payload.get("embeds") or [])
    flags = payload.get("flags", 0) | (before.flags if before is not None else 0)
    is_v2 = bool(flags & COMPONENTS_V2)
    if is_v2 and (payload.get("content") or payload.get("embeds")):
        yield "content: not beside components of the second kind"
    yield from check_components(payload.get("components") or [], is_v2=is_v2)
    yield from _file_problems(payload, uploads, before)


def _embed_problems(embeds: list[Json]) -> Iterator[str]:
    if len(embeds) > MAX_EMBEDS:
        yield f"embeds: {len(embeds)} of them"
    in_all = 0
    for embed in embeds:
        parts = list(_embed_texts(embed))
        in_all += sum(len(text) for _, text, _ in parts)
        for name, text, most in parts:
            if len(text) > most:
                yield f"embeds: {name} of {len(text)} characters"
        fields = embed.get("fields") or []
        if len(fields) > MAX_EMBED_FIELDS:
            yield f"embeds: {len(fields)} fields"
        if not all(field["name"].strip() and field["value"].strip() for field in fields):
            yield "embeds: a field without name or value"
    if in_all > MAX_EMBED_CHARACTERS:
        yield f"embeds: {in_all} characters in all"


def _embed_texts(embed: Json) -> Iterator[tuple[str, str, int]]:
    yield "title", embed.get("title") or "", 256
    yield "description", embed.get("description") or "", 4096
    yield "footer", (embed.get("footer") or {}).get("text") or "", 2048
    yield "author", (embed.get("author") or {}).get("name") or "", 256
    for field in embed.get("fields") or []:
        yield "field name", field["name"], 256
        yield "field value", field["value"], 1024


def _file_problems(payload: Json, uploads: Mapping[int, File], before: Message | None) -> Iterator[str]:
    described = payload.get("attachments") or []
    there = before.files if before is not None else []
    known = {str(file.id) for file in there} | {str(number) for number in uploads}
    strangers = [str(each["id"]) for each in described if str(each["id"]) not in known]
    if strangers:
        yield f"attachments: unknown ids {strangers}"
    if any(len(each.get("description") or "") > MAX_FILE_DESCRIPTION for each in described):
        yield f"attachments: a description above {MAX_FILE_DESCRIPTION} characters"
    files = [*_kept_files(payload, before), *uploads.values()]
    if len(files) > MAX_FILES:
        yield f"attachments: {len(files)} files"
    # Discord would show an empty picture; nobody means that.
    wanted = set(_REFERENCE.findall(json.dumps([payload.get("embeds"), payload.get("components")], ensure_ascii=False)))
    if wanted - {file.filename for file in files}:
        yield f"attachments: no file for {sorted(wanted)}"


def _kept_files(payload: Json, before: Message | None) -> list[File]:
    """Return which files stay: all of them, or those that `attachments` lists."""
    there = before.files if before is not None else []
    if payload.get("attachments") is None:
        return there
    listed = {str(each["id"]) for each in payload["attachments"]}
    return [file for file in there if str(file.id) in listed]


def _would_be_empty(payload: Json, uploads: Mapping[int, File], before: Message | None) -> bool:
    content = str(payload.get("content", before.content if before else "") or "")
    embeds = payload.get("embeds", before.embeds if before else [])
    components = payload.get("components", before.components if before else [])
    others = (payload.get("poll"), payload.get("sticker_ids"), uploads, _kept_files(payload, before))
    # Discord takes a message of components alone, see `Create Message`.
    return not (content.strip() or embeds or components or any(others))


def fill(message: Message, payload: Json, uploads: Mapping[int, File]) -> None:
    """Put into a message what a checked body says; what the body does not name stays as it is."""
    if "content" in payload:
        was_thinking = bool(message.flags & LOADING)
        message.edit_text(payload["content"] or "")
        if was_thinking or message.versions[:-1] == [""]:
            message.versions[:] = message.versions[-1:]
    if "embeds" in payload:
        message.embeds = [_rendered_embed(embed) for embed in payload["embeds"] or []]
    if "components" in payload:
        message.components = with_ids(payload["components"] or [])
    described = {str(each["id"]): each.get("description") for each in payload.get("attachments") or []}
    message.files = list(_kept_files(payload, message))
    for number, file in uploads.items():
        file.description = described.get(str(number), file.description)
        message.files.append(file)
    message.flags &= ~LOADING
    if "flags" in payload:
        message.flags = (message.flags & ~SUPPRESS_EMBEDS) | (payload["flags"] & _SETTABLE_FLAGS)


def _rendered_embed(embed: Json) -> Json:
    """Return an embed as Discord answers it, with what it fills in."""
    rendered = {"type": "rich", **embed}
    if "fields" in embed:
        rendered["fields"] = [{"inline": False, **field} for field in embed["fields"]]
    return rendered
