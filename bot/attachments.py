"""Text files that join a question.

Owns: which files are texts, the bound on them, fetching them, and how they stand below a question. Does not own: the
text of the message itself (`message_text.py`), or the words of a refusal (`texts/attachments.py`).
"""

import logging
import re
import unicodedata
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import aiohttp
import discord

from bot.errors import AttachmentNotFetchedError, AttachmentNotTextError, AttachmentsOffError, AttachmentsTooLargeError
from bot.faults import describe

logger = logging.getLogger(__name__)

FETCH_SECONDS = 20.0
"""For one file; the CDN needs a fraction of it for the sizes taken here."""

MAX_NAME_CHARACTERS = 64

_CHUNK_BYTES = 16_384

_KNOWN_SUFFIXES = """
    adoc asm astro awk bash bat bib c cc cfg clj cljs cmake cmd conf cpp cs css csv cxx dart diff dockerfile edn el elm
    env erl ex exs f90 fish fs fsx gd glsl go gql gradle graphql groovy h hcl hh hpp hs htm html hxx ics ini ipynb java
    jl js json json5 jsonc jsonl jsx kt kts less lisp log lua m make makefile markdown md mdx mjs mk ml mli mm ndjson
    nim nix org pas patch php pl plist pm po pot proto ps1 psm1 py pyi pyx r rake rb rest rkt rs rst sass scala scm
    scss sh sol sql srt styl sv svelte swift tcl tex tf tfvars toml ts tsv tsx txt v vb vhd vim vtt vue wat xml xsd xsl
    yaml yml zig zsh
"""
_TEXT_SUFFIXES = frozenset(_KNOWN_SUFFIXES.split())
"""Files that are texts whatever type Discord guesses: it takes `.ts` for a video."""

_TEXT_TYPES = frozenset(
    f"application/{name}"
    for name in (
        "ecmascript",
        "graphql",
        "javascript",
        "json",
        "octet-stream",
        "sql",
        "toml",
        "typescript",
        "x-httpd-php",
        "x-javascript",
        "x-ndjson",
        "x-sh",
        "x-shellscript",
        "x-tex",
        "x-yaml",
        "xml",
        "yaml",
    )
)
"""Types of files that may be texts; `octet-stream` is what Discord says when it does not know."""

_TEXT_TYPE_ENDINGS = ("+json", "+xml", "+yaml")
_KEPT_CONTROLS = frozenset("\n\r\t\f\x1b")
_TERMINAL_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_BACKTICKS = re.compile(r"`{3,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedText:
    """A file that was read: its cleaned name and all of its text."""

    name: str
    text: str


async def read_attachments(attachments: Sequence[discord.Attachment], *, max_bytes: int) -> list[AttachedText]:
    """Fetch text files, at most `max_bytes` together; 0 takes none.

    Names, types and sizes are looked at before anything is fetched, sizes and contents again while reading. Raises
    `AttachmentsOffError`, `AttachmentNotTextError`, `AttachmentsTooLargeError` or `AttachmentNotFetchedError`.
    """
    if not attachments:
        return []
    if max_bytes <= 0:
        raise AttachmentsOffError
    for attachment in attachments:
        if not _may_be_text(attachment):
            raise AttachmentNotTextError(name=clean_file_name(attachment.filename), limit_bytes=max_bytes)
    if sum(attachment.size for attachment in attachments) > max_bytes:
        raise AttachmentsTooLargeError(limit_bytes=max_bytes)
    read, room_bytes = [], max_bytes
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=FETCH_SECONDS)) as session:
        for attachment in attachments:
            name = clean_file_name(attachment.filename)
            data = await _fetch(session, attachment.url, name=name, room_bytes=room_bytes, limit_bytes=max_bytes)
            room_bytes -= len(data)
            text = decode(data)
            if text is None:
                raise AttachmentNotTextError(name=name, limit_bytes=max_bytes)
            read.append(AttachedText(name=name, text=text))
    return read


def joined(text: str, attached: Sequence[AttachedText]) -> str:
    """Return a question with its files below it: each a name and a code block, longer fenced than any inside."""
    return "\n\n".join(part for part in (text, *map(_block, attached)) if part)


def decode(data: bytes) -> str | None:
    """Return the text of a file in UTF-8, or in UTF-16 with a byte order mark; None where it is no text.

    Line ends become line feeds, a terminal's colours go, and blank lines at the ends as well.
    """
    encoding = "utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8"
    try:
        text = data.removeprefix(BOM_UTF8).decode(encoding)
    except UnicodeDecodeError:
        return None
    if any(unicodedata.category(character) == "Cc" and character not in _KEPT_CONTROLS for character in set(text)):
        return None
    plain = _TERMINAL_COLOURS.sub("", text).replace("\x1b", "").replace("\f", "\n")
    return plain.replace("\r\n", "\n").replace("\r", "\n").strip("\n")


def clean_file_name(name: str) -> str:
    """Return a file's name as one short line without control characters or backticks; its ending stays."""
    kept = (character for character in " ".join(name.split()) if unicodedata.category(character)[0] != "C")
    clean = "".join(kept).replace("`", "")
    if len(clean) <= MAX_NAME_CHARACTERS:
        return clean or "file"
    return f"{clean[: MAX_NAME_CHARACTERS - 21]}…{clean[-20:]}"


def _may_be_text(attachment: discord.Attachment) -> bool:
    if _suffix(attachment.filename) in _TEXT_SUFFIXES or attachment.content_type is None:
        return True
    declared = attachment.content_type.partition(";")[0].strip().lower()
    if declared.startswith("image/"):
        return False
    return declared.startswith("text/") or declared in _TEXT_TYPES or declared.endswith(_TEXT_TYPE_ENDINGS)


def _suffix(name: str) -> str:
    """Return the ending of a name, or the whole of one without: `Makefile` says as much as `.mk`."""
    path = PurePosixPath(name.lower())
    return path.suffix.removeprefix(".") or path.name.removeprefix(".")


async def _fetch(session: aiohttp.ClientSession, url: str, *, name: str, room_bytes: int, limit_bytes: int) -> bytes:
    """Read a file, and no more of it than there is room for."""
    data = bytearray()
    try:
        async with session.get(url, allow_redirects=False, raise_for_status=_require_file) as response:
            async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                data += chunk
                if len(data) > room_bytes:
                    raise AttachmentsTooLargeError(limit_bytes=limit_bytes)
    except (aiohttp.ClientError, OSError) as error:
        logger.warning("an attachment could not be fetched: %s", describe(error))
        raise AttachmentNotFetchedError(name=name) from None
    return bytes(data)


async def _require_file(response: aiohttp.ClientResponse) -> None:
    """Raise unless the answer is the file itself; Discord's CDN never redirects."""
    response.raise_for_status()
    if response.status != 200:
        raise aiohttp.ClientPayloadError


def _block(attached: AttachedText) -> str:
    longest = max((len(run) for run in _BACKTICKS.findall(attached.text)), default=0)
    fence = "`" * max(3, longest + 1)
    suffix = _suffix(attached.name)
    language = suffix if suffix in _TEXT_SUFFIXES else ""
    return f"{attached.name}:\n{fence}{language}\n{attached.text}\n{fence}"
