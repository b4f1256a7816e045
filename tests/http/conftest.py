"""Real servers on loopback, and a client whose first root is one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from remote_upscale.api_clients.http import Http
from remote_upscale.api_clients.settings import Roots, Settings, SizeLimits, TimeLimits

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Net:
    """Starts servers and clients, and stops them all at the end."""

    def __init__(self, home: Path) -> None:
        self.stack = AsyncExitStack()
        self.home = home

    async def serve(self, handler: Handler, host: str = "127.0.0.1", **site) -> str:
        """A web server that answers everything with ``handler``; gives its root."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        self.stack.push_async_callback(runner.cleanup)
        server = web.TCPSite(runner, host, 0, **site)
        await server.start()
        scheme = "https" if site else "http"
        return f"{scheme}://{host}:{runner.addresses[0][1]}"

    async def talk(self, talk: Talk) -> str:
        """A server that says whatever ``talk`` writes; gives its root."""

        async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await talk(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(once, "127.0.0.1", 0)
        self.stack.callback(server.close)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def http(self, root: str = "https://gateway.pixazo.ai", **limits: float) -> Http:
        """A client with ``root`` as a configured root, and these time and size limits."""
        known = TimeLimits.__dataclass_fields__
        time = TimeLimits(**{name: value for name, value in limits.items() if name in known})
        size = SizeLimits(**{name: int(value) for name, value in limits.items() if name not in known})
        settings = replace(Settings(home=self.home), roots=Roots(pixazo=root), time=time, size=size)
        return await self.stack.enter_async_context(Http(settings))


@pytest.fixture
async def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Net]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    net = Net(tmp_path / "home")
    async with net.stack:
        yield net
