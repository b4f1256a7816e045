"""Fetching a result's link into a file."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import urljoin

import httpx

from ..errors import BadResponse, InvalidInput, Meaning, ProviderUnavailable, RemoteUpscaleError, ResultLost
from ..http_messages import Reply

Progress = Callable[[int, int | None], None]
"""Called with the bytes done so far and, where it is known, their total."""

_T = TypeVar("_T")

Open = Callable[[str, Mapping[str, str]], AbstractAsyncContextManager[httpx.Response]]
"""Checks a link, sends a GET with these headers and gives the reply, its body not yet read."""

_MOST_REDIRECTS = 5
_BLOCK = 1 << 20
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")
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


@dataclass
class Partial:
    """What an attempt left in the file, so that the next one can go on from there.

    Make one for all attempts at one file. It stays empty where the server does not say by a strong ``ETag``
    which version it sent.
    """

    etag: str | None = field(default=None, repr=False)
    size: int = 0


async def fetch(
    open_link: Open, url: str, path: Path, *, max_bytes: int, partial: Partial, progress: Progress | None
) -> Downloaded:
    """One attempt; see ``Http.download``."""
    headers = {"Accept-Encoding": "identity"}
    if partial.etag and partial.size:
        headers |= {"Range": f"bytes={partial.size}-", "If-Range": partial.etag}
    for _hop in range(_MOST_REDIRECTS + 1):
        async with open_link(url, headers) as response:
            location = response.headers.get("location")
            if response.status_code in (301, 302, 303, 307, 308) and location:
                url = _next(url, location)
                continue
            return await _receive(response, path, max_bytes, partial, progress)
    raise BadResponse(
        f"The result's link leads on and on, more than {_MOST_REDIRECTS} times.",
        hint="Ask the provider about it.",
    )


def _next(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise BadResponse("The result's link leads to an address that is none.") from None


async def _receive(
    response: httpx.Response, path: Path, max_bytes: int, partial: Partial, progress: Progress | None
) -> Downloaded:
    start = _start(response, partial)
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower() or None
    if media_type and _NO_MEDIA.fullmatch(media_type):
        raise BadResponse(
            f"The result's link gives {media_type[:60]}, not a picture or clip.",
            hint="Run it again, or `remote-upscale resume`.",
        )
    total = _total(response, start)
    if total is not None and total > max_bytes:
        raise _too_large(max_bytes)
    partial.etag, partial.size = _etag(response), start
    if progress is not None:
        progress(start, total)
    with _writing():
        file = _open_at(path, start)  # not in a thread, which might open it after a cancellation, for nobody
    try:
        await _copy(response, file, max_bytes, partial, lambda done: progress and progress(done, total))
    finally:
        await _in_thread(_close, file)
    return Downloaded(partial.size, media_type)


async def _copy(
    response: httpx.Response,
    file: BinaryIO,
    max_bytes: int,
    partial: Partial,
    report: Callable[[int], object],
) -> None:
    """Write the body in blocks; ``partial.size`` is what is in the file at any moment."""
    waiting: list[bytes] = []
    length = 0
    async for piece in response.aiter_bytes():
        waiting.append(piece)
        length += len(piece)
        if partial.size + length > max_bytes:
            raise _too_large(max_bytes)
        if length >= _BLOCK:
            partial.size += await _in_thread(_write, file, waiting)
            waiting, length = [], 0
            report(partial.size)
    partial.size += await _in_thread(_write, file, waiting)
    report(partial.size)


def _start(response: httpx.Response, partial: Partial) -> int:
    """Where in the file the body belongs; raises for a reply that has no result in it."""
    status = response.status_code
    if status == 200:
        return 0
    if status == 206 and partial.size:
        found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if found and int(found[1]) == partial.size and "content-encoding" not in response.headers:
            return partial.size
    if status in (206, 416):
        partial.etag, partial.size = None, 0
        raise ProviderUnavailable("The download could not go on where it stopped.", meaning=Meaning.TRY_AGAIN)
    raise _no_result(response)


def _no_result(response: httpx.Response) -> RemoteUpscaleError:
    status, host = response.status_code, response.url.host
    if status in (408, 425, 429) or status >= 500:
        return ProviderUnavailable(
            f"{host} answered HTTP {status} instead of the result.",
            hint="Run it again later, or `remote-upscale resume`.",
            meaning=Meaning.TRY_AGAIN,
            retry_after=Reply(status, dict(response.headers)).retry_after,
        )
    if status in (400, 401, 403, 404, 410):
        return ResultLost(
            f"The result's link is not valid any more ({host} answered HTTP {status}).",
            hint="Run it again, or `remote-upscale resume`, to ask for a fresh link.",
        )
    return BadResponse(f"{host} answered HTTP {status} instead of the result.")


def _total(response: httpx.Response, start: int) -> int | None:
    """Size of the whole result, where it is known: the length of a compressed body says nothing."""
    length = response.headers.get("content-length", "")
    if "content-encoding" in response.headers or not (length.isascii() and length.isdigit()):
        return None
    return start + int(length[:20])


def _etag(response: httpx.Response) -> str | None:
    etag = response.headers.get("etag", "")
    return etag if _STRONG_ETAG.fullmatch(etag) and "content-encoding" not in response.headers else None


def _too_large(max_bytes: int) -> BadResponse:
    return BadResponse(
        f"The result is larger than {max_bytes:,} bytes.",
        hint="Raise result_bytes under [size] in settings.toml; then run it again, or "
        "`remote-upscale resume`.",
    )


async def _in_thread(work: Callable[..., _T], *args: object) -> _T:
    """Blocking file work off the event loop; a cancelled caller waits, so that no thread is left behind."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *args))
    try:
        with _writing():
            return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


@contextmanager
def _writing() -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidInput(
            f"The result cannot be written: {error.strerror}.",
            hint="Make room or choose another place, then run it again, or `remote-upscale resume`.",
        ) from None


def _open_at(path: Path, start: int) -> BinaryIO:
    if start == 0:
        return path.open("wb")
    file = path.open("r+b")
    file.truncate(start)
    file.seek(start)
    return file


def _write(file: BinaryIO, pieces: list[bytes]) -> int:
    return sum(file.write(piece) for piece in pieces)


def _close(file: BinaryIO) -> None:
    file.close()
