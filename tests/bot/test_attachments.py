"""Files with a question: texts join it, anything else is refused in a sentence, and nothing too large is read."""

import zlib
from collections.abc import AsyncIterator
from typing import Any, cast

import discord
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from bot.attachments import AttachedText, clean_file_name, decode, joined, read_attachments
from bot.errors import (
    AttachmentNotFetchedError,
    AttachmentNotTextError,
    AttachmentsOffError,
    AttachmentsTooLargeError,
    RefusedError,
)
from bot.language import speak

_LIMIT = 65_536


class Cdn:
    """Serves files as Discord's CDN does; `fetched` are the names asked for."""

    def __init__(self) -> None:
        self.fetched: list[str] = []
        self._files: dict[str, bytes] = {}
        self._headers: dict[str, str] = {}
        self._statuses: dict[str, int] = {}
        app = web.Application()
        app.router.add_get("/attachments/{name}", self._serve)
        self.server = TestServer(app)

    def attach(
        self,
        name: str,
        data: bytes,
        *,
        content_type: str | None = None,
        size: int | None = None,
        status: int = 200,
        encoding: str = "",
    ) -> discord.Attachment:
        """Return an attachment as Discord describes it in a message; `size` is what it claims."""
        slot = str(len(self._files))
        self._files[slot], self._statuses[slot], self._headers[slot] = data, status, encoding
        url = str(self.server.make_url(f"/attachments/{slot}"))
        described = {
            "id": "1",
            "filename": name,
            "size": len(data) if size is None else size,
            "url": url,
            "proxy_url": url,
            "content_type": content_type,
        }
        # Only `Attachment.read` uses the state, for discord.py's own HTTP session.
        return discord.Attachment(data=cast("Any", described), state=cast("Any", _NoState()))

    async def _serve(self, request: web.Request) -> web.Response:
        slot = request.match_info["name"]
        self.fetched.append(slot)
        headers = {"Content-Encoding": self._headers[slot]} if self._headers[slot] else {}
        return web.Response(status=self._statuses[slot], body=self._files[slot], headers=headers)


class _NoState:
    http = None


@pytest.fixture(autouse=True)
def english() -> None:
    speak("en-US")


@pytest.fixture
async def cdn() -> AsyncIterator[Cdn]:
    running = Cdn()
    await running.server.start_server()
    yield running
    await running.server.close()


async def _refused(*attachments: discord.Attachment, max_bytes: int = _LIMIT) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        await read_attachments(attachments, max_bytes=max_bytes)
    return caught.value


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("notes.txt", "text/plain; charset=utf-8"),
        ("README.md", None),
        ("main.py", "text/x-python; charset=utf-8"),
        ("data.json", "application/json"),
        ("table.CSV", "text/csv"),
        ("app.log", "application/octet-stream"),
        ("config.yaml", "application/x-yaml"),
        ("types.ts", "video/mp2t"),
        ("feed", "application/atom+xml"),
        ("Makefile", None),
        (".env", "application/octet-stream"),
        ("LICENSE", "application/octet-stream"),
    ],
)
async def test_texts_of_all_kinds_are_read(cdn: Cdn, name: str, content_type: str | None) -> None:
    attachment = cdn.attach(name, b"first\r\nsecond\n", content_type=content_type)
    assert await read_attachments([attachment], max_bytes=_LIMIT) == [AttachedText(name=name, text="first\nsecond")]


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("cat.png", "image/png"),
        ("drawing.svg", "image/svg+xml"),
        ("song.ogg", "audio/ogg"),
        ("film.mp4", "video/mp4"),
        ("paper.pdf", "application/pdf"),
        ("files.zip", "application/zip"),
        ("letter.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("setup.exe", "application/x-msdos-program"),
    ],
)
async def test_what_is_no_text_is_refused_without_fetching_it(cdn: Cdn, name: str, content_type: str) -> None:
    refusal = await _refused(cdn.attach(name, b"whatever", content_type=content_type))
    assert isinstance(refusal, AttachmentNotTextError)
    assert f"`{name}`" in refusal.sentence()
    assert "64 KB" in refusal.sentence()
    assert cdn.fetched == []


@pytest.mark.parametrize(
    "data",
    [b"\x7fELF\x02\x01\x01\x00", b"\x89PNG\r\n\x1a\n\x00", b"plain\x00text", b"caf\xe9", b"\xff\xfe\x00", b"a\x07b"],
    ids=["program", "picture", "NUL", "Latin-1", "half UTF-16", "bell"],
)
async def test_a_binary_in_disguise_is_refused(cdn: Cdn, data: bytes) -> None:
    refusal = await _refused(cdn.attach("notes.txt", data, content_type="text/plain"))
    assert isinstance(refusal, AttachmentNotTextError)


async def test_one_bad_file_among_good_ones_refuses_all(cdn: Cdn) -> None:
    good, bad = cdn.attach("a.txt", b"a"), cdn.attach("b.png", b"b", content_type="image/png")
    assert isinstance(await _refused(good, bad), AttachmentNotTextError)


async def test_the_bound_holds_for_all_files_together_before_any_is_fetched(cdn: Cdn) -> None:
    halves = [cdn.attach("a.txt", b"a" * 50), cdn.attach("b.txt", b"b" * 51)]
    assert len(await read_attachments(halves, max_bytes=101)) == 2
    cdn.fetched.clear()
    refusal = await _refused(*halves, max_bytes=100)
    assert isinstance(refusal, AttachmentsTooLargeError)
    assert "100 bytes" in refusal.sentence()
    assert cdn.fetched == []


async def test_a_file_larger_than_it_claims_is_not_read_to_its_end(cdn: Cdn) -> None:
    assert isinstance(
        await _refused(cdn.attach("a.txt", b"a" * 1_000_000, size=10), max_bytes=1000), AttachmentsTooLargeError
    )


async def test_a_file_that_grows_when_unpacked_is_not_read_to_its_end(cdn: Cdn) -> None:
    packed = zlib.compress(b"a" * 10_000_000)
    attachment = cdn.attach("a.txt", packed, encoding="deflate")
    assert attachment.size < _LIMIT
    assert isinstance(await _refused(attachment), AttachmentsTooLargeError)


@pytest.mark.parametrize("status", [302, 403, 404, 500, 204])
async def test_a_failed_download_is_a_sentence(cdn: Cdn, status: int, caplog: pytest.LogCaptureFixture) -> None:
    refusal = await _refused(cdn.attach("secret plan.txt", b"", status=status))
    assert isinstance(refusal, AttachmentNotFetchedError)
    assert "`secret plan.txt`" in refusal.sentence()
    assert "secret plan" not in caplog.text
    assert len(caplog.records) == 1


async def test_a_cdn_that_is_away_is_a_sentence(cdn: Cdn) -> None:
    attachment = cdn.attach("a.txt", b"a")
    await cdn.server.close()
    assert isinstance(await _refused(attachment), AttachmentNotFetchedError)


async def test_a_bound_of_zero_takes_no_files_but_every_message_without(cdn: Cdn) -> None:
    assert isinstance(await _refused(cdn.attach("a.txt", b""), max_bytes=0), AttachmentsOffError)
    assert await read_attachments([], max_bytes=0) == []


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xef\xbb\xbfmarked", "marked"),
        ("günstig".encode("utf-16"), "günstig"),
        (b"\xfe\xff" + "günstig".encode("utf-16-be"), "günstig"),
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\n\n  indented\n\n", "  indented"),
        (b"", ""),
    ],
    ids=["UTF-8 with mark", "UTF-16", "UTF-16 big-endian", "terminal colours", "blank ends", "nothing"],
)
def test_encodings_and_blank_ends_are_seen_to(data: bytes, text: str) -> None:
    assert decode(data) == text


def test_files_stand_below_the_question_with_their_names() -> None:
    attached = [AttachedText(name="a.py", text="print(1)"), AttachedText(name="notes", text="n")]
    assert joined("Why?", attached) == "Why?\n\na.py:\n```py\nprint(1)\n```\n\nnotes:\n```\nn\n```"


def test_files_alone_are_a_question() -> None:
    assert joined("", [AttachedText(name="a.txt", text="x")]) == "a.txt:\n```txt\nx\n```"
    assert joined("Only words", []) == "Only words"


@given(st.text(alphabet="`a\n"))
def test_a_fence_is_longer_than_any_inside(text: str) -> None:
    block = joined("", [AttachedText(name="a.txt", text=text)])
    fence = block.split("\n")[1].removesuffix("txt")
    assert set(fence) == {"`"}
    assert len(fence) >= 3
    assert fence not in text


@given(st.text())
def test_a_name_is_one_short_line_that_cannot_leave_its_code(name: str) -> None:
    clean = clean_file_name(name)
    assert 0 < len(clean) <= 64
    assert "`" not in clean
    assert clean.isprintable()


def test_a_long_name_keeps_its_ending() -> None:
    assert clean_file_name("x" * 200 + ".tar.gz").endswith("xx.tar.gz")
