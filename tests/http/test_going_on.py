"""Broken downloads: what the next attempt asks for, in this process or another one."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from email.utils import formatdate

import pytest
from aiohttp import web
from remote_upscale.api_clients.errors import BadResponse, ProviderUnavailable, StorageFailed
from remote_upscale.api_clients.http import Downloaded, PartialFile, RetryBudget
from remote_upscale.api_clients.http import retry as retry_module
from remote_upscale.api_clients.settings import TimeLimits

DATA = os.urandom(3_000_000)
OTHER = os.urandom(3_000_000)
LIMIT = 10_000_000
MODIFIED, SENT = 1_700_000_000, 1_700_000_060


class Files:
    """A server of one file that understands ranges as RFC 9110 says, and breaks off where it is told to.

    Attributes:
        breaks: for each request in turn, after how many bytes of its body the connection breaks.
        taken: how far the client is.
        asked: the ``Range`` and ``If-Range`` of each request.
    """

    def __init__(
        self, data: bytes = DATA, *, etag: str | None = '"v1"', breaks: tuple[int, ...] = ()
    ) -> None:
        self.data = data
        self.etag = etag
        self.modified: float | None = None
        self.sent: float = SENT
        self.ranges = True
        self.breaks = list(breaks)
        self.taken = 0
        self.moved = asyncio.Event()
        self.asked: list[tuple[str | None, str | None]] = []
        self.extra: dict[str, str] = {}

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Content-Type": "video/mp4", "Date": formatdate(self.sent, usegmt=True), **self.extra}
        if self.etag:
            headers["ETag"] = self.etag
        if self.modified is not None:
            headers["Last-Modified"] = formatdate(self.modified, usegmt=True)
        return headers

    async def answer(self, request: web.Request) -> web.StreamResponse:
        wanted, condition = request.headers.get("Range"), request.headers.get("If-Range")
        self.asked.append((wanted, condition))
        self.taken = 0
        headers, start, status = self.headers, 0, 200
        if wanted and self.ranges and condition in (headers.get("ETag"), headers.get("Last-Modified")):
            start, status = int(wanted.removeprefix("bytes=").removesuffix("-")), 206
            if start >= len(self.data):
                return web.Response(status=416, headers={"Content-Range": f"bytes */{len(self.data)}"})
            headers["Content-Range"] = f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"
        body = self.data[start:]
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = len(body)
        await response.prepare(request)
        if not self.breaks:
            await response.write(body)
            return response
        length = self.breaks.pop(0)
        await response.write(body[:length])
        while self.taken < start + length:  # what waits for the client is lost with the connection
            self.moved.clear()
            await self.moved.wait()
        assert request.transport is not None
        request.transport.close()
        return response


class Watched(RetryBudget):
    """A budget that lets the server know how far its client is."""

    def __init__(self, server: Files, seconds: float = 10) -> None:
        super().__init__(TimeLimits(retry=seconds))
        self.server = server

    def transfer(self):
        reached = super().transfer()

        def tell(position: int) -> None:
            self.server.taken = position
            self.server.moved.set()
            reached(position)

        return tell


def begin(wanted: str | None) -> int:
    assert wanted is not None
    return int(wanted.removeprefix("bytes=").removesuffix("-"))


async def twice(net, tmp_path, server: Files, between=lambda: None) -> None:
    """A first attempt that breaks, and another one that brings the whole file."""
    root = await net.serve(server.answer)
    http = await net.http(root)
    with PartialFile.open(tmp_path / "r") as partial:
        with pytest.raises(ProviderUnavailable) as caught:
            await http.download(f"{root}/r", partial, max_bytes=LIMIT, budget=Watched(server))
        assert caught.value.meaning.retryable
        between()
        found = await http.download(f"{root}/r?fresh=1", partial, max_bytes=LIMIT, budget=Watched(server))
        assert found == Downloaded(len(server.data), "video/mp4")
        assert partial.sha256() == hashlib.sha256(server.data).hexdigest()
    assert (tmp_path / "r").read_bytes() == server.data


@pytest.mark.parametrize("came", [700, 300_000, 2_000_000])
async def test_a_broken_download_goes_on_with_the_first_byte_that_is_missing(net, tmp_path, came):
    server = Files(breaks=(came,))
    await twice(net, tmp_path, server)
    assert server.asked == [(None, None), (f"bytes={came}-", '"v1"')]


@pytest.mark.parametrize("etag", [None, 'W/"v1"', "v1", '""'])
async def test_without_a_strong_etag_it_starts_over(net, tmp_path, etag):
    server = Files(etag=etag, breaks=(2_000_000,))
    await twice(net, tmp_path, server)
    assert server.asked[1] == (None, None)


@pytest.mark.parametrize(
    ("changes", "goes_on"),
    [
        ({}, True),
        ({"modified": MODIFIED + 1}, False),
        ({"modified": SENT + 5}, False),
        ({"etag": 'W/"v1"'}, False),
        ({"extra": {"Date": "soon"}}, False),
    ],
)
async def test_a_time_of_change_serves_where_http_lets_it(net, tmp_path, changes, goes_on):
    server = Files(etag=None, breaks=(2_000_000,))
    server.modified = MODIFIED
    vars(server).update(changes)
    await twice(net, tmp_path, server)
    date = formatdate(MODIFIED, usegmt=True)
    assert server.asked[1] == (("bytes=2000000-", date) if goes_on else (None, None))


async def test_a_server_without_ranges_starts_over(net, tmp_path):
    server = Files(breaks=(2_000_000,))
    server.ranges = False
    await twice(net, tmp_path, server)


@pytest.mark.parametrize("etag", ['"v2"', 'W/"v1"', None])
async def test_another_version_starts_over(net, tmp_path, etag):
    server = Files(breaks=(2_000_000,))

    def change() -> None:
        server.etag, server.data = etag, OTHER

    await twice(net, tmp_path, server, change)


PARTS = [
    {"Content-Range": "bytes 7-2999999/3000000"},
    {"Content-Range": "bytes */3000000"},
    {"Content-Range": "bytes 1000-2999999/4000000"},
    {"Content-Range": "nonsense"},
    {"Content-Range": ""},
    {"ETag": '"v2"'},
    {"ETag": ""},
    {"Content-Encoding": "gzip"},
]


@pytest.mark.parametrize("wrong", PARTS)
async def test_a_part_that_was_not_asked_for_is_not_used(net, tmp_path, wrong):
    async def handler(request: web.Request) -> web.StreamResponse:
        if "Range" not in request.headers:
            return await server.answer(request)
        right = {"ETag": '"v1"', "Content-Range": "bytes 1000-2999999/3000000", "Content-Type": "video/mp4"}
        return web.Response(status=206, body=OTHER[1000:], headers=right | wrong)

    server = Files(breaks=(1000,))
    root = await net.serve(handler)
    http = await net.http(root)
    with PartialFile.open(tmp_path / "r") as partial:
        for _ in range(2):
            with pytest.raises(ProviderUnavailable) as caught:
                await http.download(f"{root}/r", partial, max_bytes=LIMIT, budget=Watched(server))
            assert caught.value.meaning.retryable
        assert partial.size == 0
        await http.download(f"{root}/r", partial, max_bytes=LIMIT, budget=Watched(server))
    assert (tmp_path / "r").read_bytes() == DATA


async def test_a_range_beyond_the_end_starts_over(net, tmp_path):
    async def handler(request: web.Request) -> web.StreamResponse:
        if "Range" in request.headers:
            return web.Response(status=416, headers={"Content-Range": "bytes */500"})
        return await server.answer(request)

    server = Files(breaks=(1000,))
    root = await net.serve(handler)
    http = await net.http(root)
    with PartialFile.open(tmp_path / "r") as partial:
        for _ in range(2):
            with pytest.raises(ProviderUnavailable):
                await http.download(f"{root}/r", partial, max_bytes=LIMIT, budget=Watched(server))
        await http.download(f"{root}/r", partial, max_bytes=LIMIT, budget=Watched(server))
        assert partial.sha256() == hashlib.sha256(DATA).hexdigest()


async def test_a_part_that_ends_well_before_the_file_does_is_gone_on_with(net, tmp_path):
    """A server may give less than it was asked for."""

    async def handler(request: web.Request) -> web.StreamResponse:
        start = begin(request.headers["Range"]) if "Range" in request.headers else None
        if start is None:
            return await server.answer(request)
        stop = min(start + 900_000, len(DATA))
        headers = {"ETag": '"v1"', "Content-Range": f"bytes {start}-{stop - 1}/{len(DATA)}"}
        return web.Response(status=206, body=DATA[start:stop], headers=headers)

    server = Files(breaks=(1_500_000,))
    root = await net.serve(handler)
    http = await net.http(root)
    with PartialFile.open(tmp_path / "r") as partial:
        for size in (1_500_000, 2_400_000):
            with pytest.raises(ProviderUnavailable) as caught:
                await http.download(f"{root}/r", partial, max_bytes=LIMIT, budget=Watched(server))
            assert caught.value.meaning.retryable
            assert partial.size == size
        await http.download(f"{root}/r", partial, max_bytes=LIMIT, budget=Watched(server))
        assert partial.sha256() == hashlib.sha256(DATA).hexdigest()


async def test_a_file_that_was_whole_already_costs_one_byte(net, tmp_path):
    server = Files()
    root = await net.serve(server.answer)
    http = await net.http(root)
    for _ in range(2):
        with PartialFile.open(tmp_path / "r") as partial:
            await http.download(f"{root}/r", partial, max_bytes=LIMIT, budget=Watched(server))
            assert partial.sha256() == hashlib.sha256(DATA).hexdigest()
    assert server.asked[1] == ("bytes=2999999-", '"v1"')


async def test_at_another_link_only_an_etag_with_the_length_is_believed(net, tmp_path):
    server = Files(breaks=(2_000_000, 500_000))
    server.etag, server.modified = None, MODIFIED
    root = await net.serve(server.answer)
    http = await net.http(root)
    with PartialFile.open(tmp_path / "r") as partial:
        with pytest.raises(ProviderUnavailable):
            await http.download(f"{root}/one", partial, max_bytes=LIMIT, budget=Watched(server))
        server.etag = '"v1"'
        with pytest.raises(ProviderUnavailable):
            await http.download(f"{root}/two", partial, max_bytes=LIMIT, budget=Watched(server))
        await http.download(f"{root}/three", partial, max_bytes=LIMIT, budget=Watched(server))
    assert server.asked[1:] == [(None, None), ("bytes=500000-", '"v1"')]
    assert (tmp_path / "r").read_bytes() == DATA


async def test_the_limit_holds_for_what_was_there_too(net, tmp_path):
    server = Files(breaks=(2_000_000,))
    root = await net.serve(server.answer)
    http = await net.http(root)
    with PartialFile.open(tmp_path / "r") as partial:
        with pytest.raises(ProviderUnavailable):
            await http.download(f"{root}/r", partial, max_bytes=LIMIT, budget=Watched(server))
        with pytest.raises(BadResponse, match="larger than"):
            await http.download(f"{root}/r", partial, max_bytes=2_500_000, budget=Watched(server))


# Time


class Clock:
    """A time that only waits and transfers move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        real = asyncio.sleep

        async def sleep(delay: float, result=None):
            if not delay:
                return await real(0)
            self.waits.append(delay)
            self.now += delay
            return result

        monkeypatch.setattr("stamina._core._smart_sleep", sleep)
        monkeypatch.setattr(retry_module.time, "monotonic", lambda: self.now)


async def attempts_at(net, tmp_path, monkeypatch, server: Files, *, seconds: float) -> Clock:
    """Download with a budget of 10 s over a line on which every attempt takes ``seconds``."""
    clock = Clock(monkeypatch)

    async def handler(request: web.Request) -> web.StreamResponse:
        clock.now += seconds
        return await server.answer(request)

    root = await net.serve(handler)
    http = await net.http(root)
    budget = Watched(server)
    with PartialFile.open(tmp_path / "r") as partial:
        async for attempt in budget:
            with attempt:
                await http.download(f"{root}/r", partial, max_bytes=LIMIT, budget=budget)
        assert partial.sha256() == hashlib.sha256(DATA).hexdigest()
    return clock


async def test_a_download_that_breaks_after_longer_than_the_budget_is_gone_on_with(
    net, tmp_path, monkeypatch
):
    server = Files(breaks=(500_000,) * 5)
    clock = await attempts_at(net, tmp_path, monkeypatch, server, seconds=500.0)
    assert [begin(wanted) for wanted, _ in server.asked[1:]] == [500_000 * count for count in range(1, 6)]
    assert max(clock.waits) < 1


async def test_a_download_that_always_breaks_at_one_place_is_given_up(net, tmp_path, monkeypatch):
    server = Files(etag=None, breaks=(500_000,) * 1000)
    with pytest.raises(ProviderUnavailable):
        await attempts_at(net, tmp_path, monkeypatch, server, seconds=500.0)
    assert 3 <= len(server.asked) <= 20


async def test_one_that_gets_further_each_time_is_not(net, tmp_path, monkeypatch):
    server = Files(etag=None, breaks=tuple(range(100_000, 2_900_000, 100_000)))
    await attempts_at(net, tmp_path, monkeypatch, server, seconds=500.0)
    assert len(server.asked) == 29


# Processes

FETCH = """
import asyncio, sys
from pathlib import Path
from remote_upscale.api_clients.http import Http, PartialFile
from remote_upscale.api_clients.settings import Roots, Settings

async def main(root, path):
    async with Http(Settings(home=Path(path).parent, roots=Roots(pixazo=root))) as http:
        with PartialFile.open(Path(path)) as partial:
            tell = lambda done, total: print(done, flush=True)
            await http.download(f"{root}/r", partial, max_bytes=100_000_000, progress=tell)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is a POSIX thing")
async def test_another_process_goes_on_where_a_killed_one_was(net, tmp_path):
    """The first process is killed while it downloads; nothing is told it but by the files it left."""
    let_go = asyncio.Event()
    data = os.urandom(20_000_000)

    async def handler(request: web.Request) -> web.StreamResponse:
        if server.asked:
            return await server.answer(request)
        server.asked.append((None, None))
        response = web.StreamResponse(headers=server.headers)
        response.content_length = len(data)
        await response.prepare(request)
        await response.write(data[:8_000_000])
        await let_go.wait()
        return response

    server = Files(data)
    root = await net.serve(handler)
    path = tmp_path / "job" / "r"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FETCH, root, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    while int(await process.stdout.readline()) < 5_000_000:
        with pytest.raises(StorageFailed, match="being fetched already"):
            PartialFile.open(path)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    let_go.set()
    left = path.stat().st_size
    assert left >= 5_000_000
    http = await net.http(root)
    with PartialFile.open(path) as partial:
        assert partial.size == left
        await http.download(f"{root}/r", partial, max_bytes=100_000_000)
        assert partial.sha256() == hashlib.sha256(data).hexdigest()
        assert partial.take() == path
    assert server.asked[1:] == [(f"bytes={left}-", '"v1"')]
    assert [file.name for file in path.parent.iterdir()] == ["r"]


HOLD = """
import sys
from pathlib import Path
from remote_upscale.api_clients.http import PartialFile
partial = PartialFile.open(Path(sys.argv[1]))
partial.write(b"mine")
print("held", flush=True)
sys.stdin.read()
"""


def test_two_processes_never_write_one_file(tmp_path):
    path = tmp_path / "r"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(StorageFailed, match="in use"):
            PartialFile.open(path)
        assert path.read_bytes() == b"mine"
        process.kill()
    with PartialFile.open(path) as partial:
        assert partial.size == 0, "nobody knows which version it is of"
