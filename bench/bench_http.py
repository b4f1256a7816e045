"""httpx alone against httpx over aiohttp: requests a second at some concurrency, and one large download.

The server is another process on loopback. The two take turns; medians of the turns are compared. The last
lines are this project's own download and upload, with the memory that they need above idle.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import httpx
from aiohttp import web
from httpx_aiohttp import AiohttpTransport
from remote_upscale.api_clients.files.spliced_file import SplicedFile
from remote_upscale.api_clients.http import Http, PartialFile
from remote_upscale.api_clients.settings import Roots, Settings

TURNS = 5
REQUESTS = 1500
CONCURRENT = (1, 8, 64)
DOWNLOAD_MB = 200
FLAT_MB = 300
BLOCK = bytes(1 << 20)

Fetch = Callable[[httpx.AsyncClient, str], Awaitable[None]]


async def _serve() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "PUT":
            async for _ in request.content.iter_chunked(1 << 20):
                pass
        megabytes = int(request.query.get("mb", 0))
        if not megabytes:
            return web.json_response({"status": "IN_PROGRESS"})
        response = web.StreamResponse(headers={"Content-Type": "image/png"})
        response.content_length = megabytes << 20
        await response.prepare(request)
        for _ in range(megabytes):
            await response.write(BLOCK)
        return response

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[str]:
    """A server in another process; gives its root."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "serve", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}"
    finally:
        process.stdin.close()
        await process.wait()


@contextlib.asynccontextmanager
async def clients() -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """The two that are compared."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    async with (
        httpx.AsyncClient(limits=limits, trust_env=False, timeout=60) as plain,
        httpx.AsyncClient(transport=AiohttpTransport(client=session), trust_env=False, timeout=60) as bridged,
    ):
        yield {"httpx": plain, "httpx over aiohttp": bridged}


async def many(client: httpx.AsyncClient, url: str, at_once: int) -> float:
    """Seconds for ``REQUESTS`` requests."""
    left = iter(range(REQUESTS))

    async def worker() -> None:
        for _ in left:
            (await client.get(url)).json()

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return time.perf_counter() - start


async def large(client: httpx.AsyncClient, url: str) -> float:
    """Seconds for one download that goes nowhere."""
    start = time.perf_counter()
    async with client.stream("GET", url) as response:
        async for _ in response.aiter_bytes():
            pass
    return time.perf_counter() - start


async def compare(
    name: str, unit: str, amount: float, run: Callable[[httpx.AsyncClient], Awaitable[float]]
) -> None:
    """Take turns, print the medians and their ratio."""
    async with clients() as both:
        times: dict[str, list[float]] = {label: [] for label in both}
        for _ in range(TURNS):
            for label, client in both.items():
                times[label].append(await run(client))
    plain, bridged = (amount / statistics.median(values) for values in times.values())
    print(f"{name:24} {plain:10,.0f} {bridged:12,.0f} {unit:10} {bridged / plain:6.2f} ×")


def peak_mb() -> float:
    """The largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def ours(root: str, folder: Path) -> None:
    """Download and upload through ``Http``, with what they add to memory."""
    settings = Settings(home=folder, roots=Roots(pixazo=root))
    async with Http(settings) as http:
        before, start = peak_mb(), time.perf_counter()
        with PartialFile.open(folder / "r") as partial:
            await http.download(f"{root}/r?mb={FLAT_MB}", partial, max_bytes=FLAT_MB << 20)
            partial.sha256()
        _tell("Http.download with SHA-256", start, before)
        before, start = peak_mb(), time.perf_counter()
        await http.upload("PUT", f"{root}/r", headers={}, source=SplicedFile.whole(folder / "r"))
        _tell("Http.upload", start, before)


def _tell(name: str, start: float, before: float) -> None:
    rate = FLAT_MB / (time.perf_counter() - start)
    print(
        f"{name:26} {FLAT_MB} MiB {rate:8,.0f} MiB/s, {peak_mb() - before:5.1f} MiB more memory at its peak"
    )


async def main() -> None:
    """Run everything and print a table."""
    async with server() as root:
        with tempfile.TemporaryDirectory() as folder:
            await ours(root, Path(folder))
        print(f"{'':24} {'httpx':>10} {'over aiohttp':>12}")
        for at_once in CONCURRENT:
            await compare(
                f"{at_once} at once",
                "requests/s",
                REQUESTS,
                lambda client, n=at_once: many(client, f"{root}/s", n),
            )
        await compare(
            f"download {DOWNLOAD_MB} MiB",
            "MiB/s",
            DOWNLOAD_MB,
            lambda client: large(client, f"{root}/r?mb={DOWNLOAD_MB}"),
        )
        print(f"{os.cpu_count()} processors, {TURNS} turns each, medians")


if __name__ == "__main__":
    asyncio.run(_serve() if sys.argv[1:] == ["serve"] else main())
