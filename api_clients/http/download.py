"""Fetching a result's link into a partial file."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urljoin

import httpx

from ..errors import BadResponse, Meaning, ProviderUnavailable, RemoteUpscaleError, ResultLost
from ..http_messages import Reply
from .partial_file import PartialFile
from .progress import Progress
from .validator import Validator

_T = TypeVar("_T")

Open = Callable[[str, Mapping[str, str]], AbstractAsyncContextManager[httpx.Response]]
"""Checks a link, sends a GET with these headers and gives the reply, its body not yet read."""

_MOST_REDIRECTS = 5
_BLOCK = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_NO_MEDIA = re.compile(r"text/.*|application/(?:json|xml|xhtml\+xml|.*\+json|problem\+xml)")


@dataclass(frozen=True)
class Downloaded:
    """What was fetched.

    Attributes:
        size: bytes in the file.
        media_type: as the server says, in lower case and without parameters.
    """

    size: int
    media_type: str | None


@dataclass(frozen=True)
class Download:
    """One attempt; see ``Http.download``.

    Attributes:
        open_link: how the link is opened.
        partial: where it goes, and what is there already.
        max_bytes: the largest result.
        progress: told about once for each MiB; may not raise.
        reached: told of the position whenever bytes came.
    """

    open_link: Open
    partial: PartialFile
    max_bytes: int
    progress: Progress
    reached: Callable[[int], None]

    async def fetch(self, url: str) -> Downloaded:
        """Follow the link and receive what it gives."""
        asked = await _in_thread(_where_to_go_on, self.partial, url)
        headers = {"Accept-Encoding": "identity"}
        if asked is not None:
            validator, start = asked
            headers |= {"Range": f"bytes={start}-", "If-Range": validator.condition}
        link = url
        for _hop in range(_MOST_REDIRECTS + 1):
            async with self.open_link(link, headers) as response:
                location = response.headers.get("location")
                if response.status_code in (301, 302, 303, 307, 308) and location:
                    link = _next(link, location)
                    continue
                return await self._receive(response, url, asked)
        raise BadResponse(
            f"The result's link leads on and on, more than {_MOST_REDIRECTS} times.",
            hint="Ask the provider about it.",
        )

    async def _receive(
        self, response: httpx.Response, url: str, asked: tuple[Validator, int] | None
    ) -> Downloaded:
        start, total = await self._start(response, asked)
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower() or None
        if media_type and _NO_MEDIA.fullmatch(media_type):
            raise BadResponse(
                f"The result's link gives {media_type[:60]}, not a picture or clip.",
                hint="A proxy, or a network's sign-in page, may have answered in the server's place.",
            )
        if total is not None and total > self.max_bytes:
            raise self._too_large()
        if start:
            await _in_thread(self.partial.cut, start)
        else:
            await _in_thread(self.partial.restart, Validator.of(response, url, total))
        await self._copy(response, total)
        if total is not None and self.partial.size != total:
            raise await self._not_whole(total)
        return Downloaded(self.partial.size, media_type)

    async def _start(
        self, response: httpx.Response, asked: tuple[Validator, int] | None
    ) -> tuple[int, int | None]:
        """Where in the file the body belongs, and the size of the whole; raises where it has no result."""
        status = response.status_code
        if status == 200:
            return 0, _length(response)
        if status == 206 and asked is not None:
            validator, start = asked
            found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
            total = int(found[3]) if found and found[3] != "*" else None
            if found and int(found[1]) == start and validator.confirmed_by(response, total):
                return start, validator.total if total is None else total
        if status in (206, 416):
            await _in_thread(self.partial.restart)
            raise ProviderUnavailable(
                "The download could not go on where it stopped.", meaning=Meaning.TRY_AGAIN
            )
        raise _no_result(response)

    async def _copy(self, response: httpx.Response, total: int | None) -> None:
        """Write the body in blocks. However it ends, all that came is in the file."""
        partial, waiting, length = self.partial, list[bytes](), 0
        self.progress(partial.size, total)
        try:
            async for piece in response.aiter_bytes():
                if partial.size + length + len(piece) > self.max_bytes:
                    raise self._too_large()
                waiting.append(piece)
                length += len(piece)
                self.reached(partial.size + length)
                if length >= _BLOCK:
                    block, waiting, length = waiting, [], 0
                    await _in_thread(partial.write, *block)
                    self.progress(partial.size, total)
        finally:
            await _in_thread(partial.write, *waiting)
        self.progress(partial.size, total)

    async def _not_whole(self, total: int) -> ProviderUnavailable:
        """The error for a body that ended well before the file does (which servers may do), or after it."""
        if self.partial.size > total:
            await _in_thread(self.partial.restart)
        return ProviderUnavailable(
            "The server ended the download before it was whole.",
            hint="Check the network; what has arrived is kept.",
            meaning=Meaning.TRY_AGAIN,
        )

    def _too_large(self) -> BadResponse:
        return BadResponse(
            f"The result is larger than {self.max_bytes:,} bytes.",
            hint="Raise result_bytes under [size] in settings.toml.",
        )


def _where_to_go_on(partial: PartialFile, url: str) -> tuple[Validator, int] | None:
    """The version to ask for and the position to begin at; ``None`` to begin anew. Blocking."""
    validator, size = partial.validator, partial.size
    if validator is None or not size or not validator.holds_at(url):
        if size:
            partial.restart()
        return None
    # No server has anything after the end: of a file that is whole, the last byte is asked for.
    return validator, min(size, size if validator.total is None else validator.total - 1)


def _next(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise BadResponse("The result's link leads to an address that is none.") from None


def _no_result(response: httpx.Response) -> RemoteUpscaleError:
    status, host = response.status_code, response.url.host
    if status in (408, 425, 429) or status >= 500:
        return ProviderUnavailable(
            f"{host} answered HTTP {status} instead of the result.",
            hint="The server may be busy; try again later.",
            meaning=Meaning.TRY_AGAIN,
            retry_after=Reply(status, dict(response.headers)).retry_after,
        )
    if status in (400, 401, 403, 404, 410):
        return ResultLost(
            f"The result's link is not valid any more ({host} answered HTTP {status}).",
            hint="The provider may have a fresh link for it.",
        )
    return BadResponse(f"{host} answered HTTP {status} instead of the result.")


def _length(response: httpx.Response) -> int | None:
    """Size of the whole result, where it is known: the length of a compressed body says nothing."""
    length = response.headers.get("content-length", "")
    if "content-encoding" in response.headers or not (length.isascii() and length.isdigit()):
        return None
    return int(length[:20])


async def _in_thread(work: Callable[..., _T], *args: object) -> _T:
    """Blocking file work off the event loop; a cancelled caller waits, so that no thread is left behind."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *args))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        raise
