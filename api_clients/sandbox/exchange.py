"""One request and its reply: recorded, then answered."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from aiohttp import web

from .hooks import Hooks
from .replies import Reply

MOST_RECORDED = 5000
"""Requests that are kept."""

NO_ANSWER = 499
"""The status of a response that is never sent, as nobody waits for it any more."""

_MOST_BODY_BYTES = 64 << 20


@dataclass(eq=False)
class Recorded:
    """A request as it came in.

    Attributes:
        path: with the query.
        headers: by lower-case name; they hold keys, so they are not shown.
        body: the bytes; ``None`` for uploads and for what was never read.
        length: of the body in bytes.
        status: what it was answered with; ``None`` for no answer.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    length: int = 0
    status: int | None = None


class Record:
    """The latest requests, so many and with so many bytes of bodies at most."""

    def __init__(self) -> None:
        self._entries: deque[Recorded] = deque()
        self._bytes = 0

    def __iter__(self) -> Iterator[Recorded]:
        return iter(self._entries)

    def add(self, entry: Recorded) -> None:
        """Remember a request; the oldest make room."""
        self._entries.append(entry)
        self._trim()

    def add_body(self, entry: Recorded, body: bytes) -> None:
        """Remember a request's body."""
        entry.body, entry.length = body, len(body)
        self._bytes += len(body)
        self._trim()

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
        self._bytes = 0

    def _trim(self) -> None:
        while len(self._entries) > MOST_RECORDED or (
            self._bytes > _MOST_BODY_BYTES and len(self._entries) > 1
        ):
            self._bytes -= len(self._entries.popleft().body or b"")


class Stage(StrEnum):
    """What a client makes a request for."""

    SUBMIT = "submit"
    STATUS = "status"
    RESULT = "result"
    CANCEL = "cancel"
    BALANCE = "balance"
    FIND = "find"
    """The provider's list of earlier requests."""
    TOKEN = "token"  # noqa: S105 (a stage, not a password)
    UPLOAD = "upload"
    INITIATE = "initiate"
    DOWNLOAD = "download"


@dataclass(frozen=True)
class Call:
    """What a handler gets.

    Attributes:
        body: what was sent; empty where the handler reads the stream itself.
    """

    request: web.Request
    body: bytes
    recorded: Recorded


Answer = Reply | web.StreamResponse
"""What is sent back: a plain value, or what was already sent as a stream."""

Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One address.

    Attributes:
        stage: what it is for.
        provider: whose it is; where it is empty, the model's.
        model_of: the id of the model that a request is about.
        streams: the handler reads the body itself.
    """

    method: str
    path: str
    stage: Stage
    provider: str
    handler: Handler
    model_of: Callable[[web.Request], str | None] = lambda _request: None
    streams: bool = False


class Incoming:
    """A request that waits for its answer.

    Attributes:
        model: the id of the model that it is about, if any.
        provider: whose address it came to, or whose model it is about.
    """

    def __init__(self, route: Route, request: web.Request, recorded: Recorded, record: Record) -> None:
        self.route, self.request = route, request
        self.model = route.model_of(request)
        self.provider = route.provider or (self.model or "").partition("/")[0]
        self._recorded, self._record = recorded, record

    async def read(self) -> bytes:
        """The body, which is recorded with it; nothing where the handler reads it as a stream."""
        if self.route.streams:
            return b""
        body = await self.request.read()
        if self._recorded.body is None:
            self._record.add_body(self._recorded, body)
        return body

    async def answer(self) -> Answer:
        """Do what is asked."""
        return await self.route.handler(Call(self.request, await self.read(), self._recorded))


class Exchange:
    """Runs routes: the order of recording and answering.

    Args:
        hooks: what a test does to them.
        record: where requests are remembered.
    """

    def __init__(self, hooks: Hooks, record: Record) -> None:
        self._hooks, self._record = hooks, record

    def serve(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The aiohttp handler of a route."""

        async def handle(request: web.Request) -> web.StreamResponse:
            headers = {name.lower(): value for name, value in request.headers.items()}
            recorded = Recorded(request.method, request.path_qs, headers)
            self._record.add(recorded)
            try:
                answer = await self._hooks.exchange(Incoming(route, request, recorded, self._record))
                sent = await _send(answer) if isinstance(answer, Reply) else answer
            except ConnectionError:  # the client went away: nobody is left to answer
                return web.Response(status=NO_ANSWER)
            recorded.status = sent.status if sent.status != NO_ANSWER else None
            return sent

        return handle


async def _send(reply: Reply) -> web.StreamResponse:
    headers = {**reply.headers, "Content-Type": reply.content_type}
    if isinstance(reply.body, Path):
        if not await asyncio.to_thread(reply.body.is_file):
            return web.Response(status=404)
        return web.FileResponse(reply.body, status=reply.status, headers=headers)
    return web.Response(status=reply.status, body=reply.body, headers=headers)
