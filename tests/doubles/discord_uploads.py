"""Files of the stand-in Discord server: how they arrive, and the CDN they lie on.

Source: https://discord.com/developers/docs/reference#uploading-files.
"""

import json
import mimetypes
import re
import struct
from urllib.parse import quote

from aiohttp import BodyPartReader, web

from tests.doubles.discord_basics import Json
from tests.doubles.discord_messages import File, Message
from tests.doubles.discord_places import Channel

CDN_PATH = "/attachments/{channel}/{file}/{filename}"

_FIELD = re.compile(r"files\[(\d+)\]")
_PNG = b"\x89PNG\r\n\x1a\n"


async def read_body(request: web.Request) -> tuple[Json, dict[int, File]]:
    """Return the JSON of a request and the files that came with it, by the number in `files[n]`."""
    if not request.can_read_body:
        return {}, {}
    if request.content_type == "multipart/form-data":
        return await _read_parts(request)
    parsed = await request.json()
    return (parsed if isinstance(parsed, dict) else {"list": parsed}), {}


async def _read_parts(request: web.Request) -> tuple[Json, dict[int, File]]:
    body: Json = {}
    uploads = {}
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        numbered = _FIELD.fullmatch(part.name or "")
        if part.name == "payload_json":
            body = json.loads(await part.text())
        elif numbered is not None:
            uploads[int(numbered[1])] = new_file(part.filename or "unknown", await part.read())
    return body, uploads


def new_file(filename: str, data: bytes, content_type: str | None = None) -> File:
    """Make a file as Discord keeps it: it goes by the ending of the name, whatever type was sent with it."""
    guessed = mimetypes.guess_type(filename)[0]
    if guessed is not None and guessed.startswith("text/"):
        guessed += "; charset=utf-8"
    is_png = data.startswith(_PNG) and len(data) >= 24
    return File(
        filename=re.sub(r"\s", "_", filename),
        data=data,
        content_type=content_type or guessed,
        size_pixels=struct.unpack(">II", data[16:24]) if is_png else None,
    )


class Cdn:
    """Keeps files and hands them to whoever has their address."""

    def __init__(self) -> None:
        self._files: dict[int, File] = {}
        self.url = ""

    def keep(self, message: Message) -> None:
        """Give the new files of a message their addresses."""
        for file in message.files:
            if not file.url:
                self.keep_file(file, message.channel)

    def keep_file(self, file: File, channel: Channel) -> None:
        """Give a file its address."""
        self._files[file.id] = file
        path = CDN_PATH.format(channel=channel.id, file=file.id, filename=quote(file.filename))
        # Discord signs its addresses with these three; nothing here looks at them.
        file.url = f"{self.url}{path}?ex=7fffffff&is=0&hm=0&"

    async def serve(self, request: web.Request) -> web.Response:
        """Answer with the bytes of a file, or 404."""
        file = self._files.get(int(request.match_info["file"]))
        if file is None:
            return web.Response(status=404)
        return web.Response(body=file.data, headers={"Content-Type": file.content_type or "application/octet-stream"})
