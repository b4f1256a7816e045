"""The sandbox's HTTP server: a provider for demos, tests and dry runs, on this machine only."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from aiohttp import web

from ..models import Model
from ..roots import Roots
from .context import Context
from .control import HEADER, Control
from .exchange import Call, Exchange, Record, Recorded, Route, Stage
from .hooks import Hooks
from .inputs import is_loopback
from .jobs import Delays, Job, Jobs
from .protocol import Protocol
from .protocols import PROTOCOLS
from .replies import Reply

_MOST_BODY = 64 << 20
"""Of a request that is no upload; data URIs count."""


class Sandbox:
    """A server on loopback that speaks all providers' protocols; an async context manager.

    Args:
        models: those that it serves; their declarations are what it validates by.
        port: to listen at; 0 takes a free one.
        host: a loopback address.
        delays: how long a job takes at least.
        folder: for files; a temporary one, removed at the end, if none is given.
        keys: the one valid key of each provider; without an entry any key is.
        hooks: where a test steps in.
        protocols: of the providers.

    Attributes:
        url: its address; known once it runs.
        roots: what to configure as the providers' roots; known once it runs.
        protocols: by provider name; known once it runs.

    Raises:
        ValueError: ``host`` is not a loopback address.
        OSError: the port is taken.
    """

    url: str
    roots: Roots
    protocols: Mapping[str, Protocol]

    def __init__(
        self,
        models: Iterable[Model],
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        delays: Delays = Delays(),  # noqa: B008 (immutable)
        folder: Path | None = None,
        keys: Mapping[str, str] | None = None,
        hooks: Hooks = Hooks(),  # noqa: B008 (does nothing)
        protocols: Iterable[type[Protocol]] = PROTOCOLS,
    ) -> None:
        if not is_loopback(host):
            raise ValueError(f"The sandbox listens on loopback addresses only, not on {host}.")
        self._hooks, self._kinds = hooks, tuple(protocols)
        self._models, self._port, self._host = tuple(models), port, host
        self._delays, self._folder, self._keys = delays, folder, dict(keys or {})
        self._record = Record()

    @property
    def requests(self) -> list[Recorded]:
        """The requests so far, oldest first; only so many of the latest are kept."""
        return list(self._record)

    @property
    def jobs(self) -> list[Job]:
        """The accepted jobs, oldest first."""
        return list(self._jobs)

    @property
    def delays(self) -> Delays:
        """How long jobs take that are accepted from now on. Can be set while it runs."""
        return self._jobs.delays

    @delays.setter
    def delays(self, delays: Delays) -> None:
        self._jobs.delays = delays

    async def __aenter__(self) -> Sandbox:
        async with AsyncExitStack() as stack:
            temporary = tempfile.TemporaryDirectory(
                prefix="remote-upscale-sandbox-", dir=self._folder, ignore_cleanup_errors=True
            )
            stack.push_async_callback(asyncio.to_thread, temporary.cleanup)
            sock = self._listen()
            stack.callback(sock.close)
            self._jobs = Jobs(Path(temporary.name), self._delays, self._hooks)
            self._exchange = Exchange(self._hooks, self._record)
            runner = web.AppRunner(self._build(Path(temporary.name)), access_log=None, shutdown_timeout=1.0)
            stack.push_async_callback(runner.cleanup)
            # Submits may wait for their jobs, so these end first.
            stack.push_async_callback(self._jobs.close)
            await runner.setup()
            await web.SockSite(runner, sock).start()
            self._running = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._running.aclose()

    def _listen(self) -> socket.socket:
        """Take the port, which settles the addresses."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        sock = socket.create_server((self._host, self._port), family=family, backlog=512)
        shown = f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"http://{shown}:{sock.getsockname()[1]}"
        self.roots = Roots(
            **{name: f"{self.url}{path}" for kind in self._kinds for name, path in kind.paths.items()}
        )
        return sock

    def _build(self, folder: Path) -> web.Application:
        context = Context(
            url=self.url,
            roots=self.roots,
            models=self._models,
            jobs=self._jobs,
            keys=self._keys,
            folder=folder,
        )
        app = web.Application(client_max_size=_MOST_BODY, middlewares=[_near_only])
        app.on_response_prepare.append(_mark)
        self.protocols = {kind.provider: kind(context) for kind in self._kinds}
        Control(self._jobs, self._record).add_to(app.router)
        results = Route(
            method="GET",
            path="/results/v1/{id}/{name}",
            stage=Stage.DOWNLOAD,
            provider="",
            handler=self._result,
            model_of=self._model_of_result,
        )
        for protocol in self.protocols.values():
            protocol.add_pages(app.router)
        for route in [results, *(route for one in self.protocols.values() for route in one.routes())]:
            app.router.add_route(route.method, route.path, self._exchange.serve(route))
        return app

    def _model_of_result(self, request: web.Request) -> str | None:
        job = self._jobs.find(request.match_info["id"])
        return job.model.id if job else None

    async def _result(self, call: Call) -> Reply:
        job = self._jobs.find(call.request.match_info["id"])
        if job is None or job.result is None or job.result.path.name != call.request.match_info["name"]:
            return Reply(status=404, body=b"Not found", content_type="text/plain")
        return Reply(body=job.result.path, content_type=job.result.media_type)


async def serve(
    models: Iterable[Model],
    *,
    port: int = 0,
    delays: Delays = Delays(),  # noqa: B008 (immutable)
    ready: Callable[[Sandbox], None] = lambda _sandbox: None,
) -> None:
    """Run a sandbox until cancelled.

    Args:
        models: those that it serves.
        port: to listen at; 0 takes a free one.
        delays: how long a job takes at least.
        ready: called once it listens; its ``url`` and ``roots`` are what to show.

    Raises:
        OSError: the port is taken.
    """
    async with Sandbox(models, port=port, delays=delays) as sandbox:
        ready(sandbox)
        await asyncio.Event().wait()


@web.middleware
async def _near_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse requests under another name, which is how a web page would reach this server (DNS rebinding)."""
    if not is_loopback(urlsplit(f"//{request.host}").hostname):
        raise web.HTTPMisdirectedRequest(text="This server is for loopback addresses.")
    return await handler(request)


async def _mark(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers[HEADER] = "1"
