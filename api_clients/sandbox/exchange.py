"""One request and its reply: recorded, struck by faults, answered."""

from __future__ import annotations

import asyncio
import math
import socket
import struct
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiohttp import web

from .faults import Action, Do, Faults, Garbage, Stage
from .replies import Reply

_PIECE = 1 << 16
_NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""Closing then sends a reset, not an orderly end."""

MOST_RECORDED = 5000
"""Requests that are kept."""

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


@dataclass(frozen=True)
class Call:
    """What a handler gets.

    Attributes:
        body: what was sent; empty where the handler reads the stream itself.
        twist: a fault that bends the reply's content, which only the handler can do.
    """

    request: web.Request
    body: bytes
    twist: Action | None
    recorded: Recorded

    def twisted(self, do: Do) -> bool:
        """Whether the reply is to be bent this way."""
        return self.twist is not None and self.twist.do is do


Handler = Callable[[Call], Awaitable[Reply | web.StreamResponse]]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One address.

    Attributes:
        stage: where faults strike it.
        error: the provider's error reply for an ``ERROR`` action.
        provider: whose it is; where it is empty, the model's.
        model_of: the id of the model that a request is about.
        streams: the handler reads the body itself.
    """

    method: str
    path: str
    stage: Stage
    provider: str
    handler: Handler
    error: Callable[[Action], Reply]
    model_of: Callable[[web.Request], str | None] = lambda _request: None
    streams: bool = False


class Exchange:
    """Runs routes: the order of recording, faults and answering.

    Args:
        faults: the rules.
        record: where requests are remembered.
    """

    def __init__(self, faults: Faults, record: Record) -> None:
        self._faults, self._record = faults, record
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Let go of whoever hangs."""
        self._closing.set()

    def serve(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The aiohttp handler of a route."""

        async def handle(request: web.Request) -> web.StreamResponse:
            headers = {name.lower(): value for name, value in request.headers.items()}
            recorded = Recorded(request.method, request.path_qs, headers)
            self._record.add(recorded)
            model = route.model_of(request)
            provider = route.provider or (model or "").partition("/")[0]
            action = self._faults.take(route.stage, provider, model)
            try:
                sent = await self._answer(route, request, recorded, action)
            except ConnectionError:  # the client went away: nobody is left to answer
                return web.Response(status=499)
            recorded.status = sent.status if sent.status != 499 else None
            return sent

        return handle

    async def _answer(
        self, route: Route, request: web.Request, recorded: Recorded, action: Action | None
    ) -> web.StreamResponse:
        if action is not None and action.do is Do.RESET:
            return _drop(request)
        body = b""
        if not route.streams:
            body = await request.read()
            self._record.add_body(recorded, body)
        early = None if action is None else _early(route, action)
        if early is not None:
            return await _send(early)
        if action is not None and action.do is Do.HANG and not action.word:
            return await self._hang(request)
        reply = await route.handler(Call(request, body, action, recorded))
        if not isinstance(reply, Reply):
            return reply
        if action is None:
            return await _send(reply)
        return await self._bend(request, reply, action)

    async def _bend(self, request: web.Request, reply: Reply, action: Action) -> web.StreamResponse:
        """The real reply, sent wrongly."""
        match action.do:
            case Do.LOST_REPLY:
                return _drop(request)
            case Do.HANG:
                return await self._hang(request)
            case Do.TRUNCATED:
                return await _send_part(request, reply)
            case Do.SLOW:
                return await _send_pieces(request, reply, _slowly(reply, action.seconds))
            case Do.OVERSIZED:
                return await _send_pieces(request, reply, _with_more(reply, action.size))
            case Do.GARBAGE if action.kind is Garbage.HUGE:
                return await _send_pieces(request, reply, _huge(action.size))
            case Do.GARBAGE:
                return await _send(_garbage(reply, action))
            case Do.WRONG_TYPE:
                return await _send(replace(reply, content_type=action.content_type or "text/html"))
            case _:
                return await _send(reply)

    async def _hang(self, request: web.Request) -> web.StreamResponse:
        # aiohttp tells a handler by no event that its client has gone.
        while not (self._closing.is_set() or request.transport is None or request.transport.is_closing()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return _drop(request)


def _early(route: Route, action: Action) -> Reply | None:
    """The reply of a fault that leaves undone what was asked, if it is one."""
    match action.do:
        case Do.ERROR:
            reply = route.error(action)
            if action.retry_after is None:
                return reply
            header = {"Retry-After": str(math.ceil(action.retry_after))}
            return replace(reply, headers={**reply.headers, **header})
        case Do.LITERAL:
            return Reply(
                status=action.status or 200,
                body=action.body.encode(),
                content_type=action.content_type or "application/json",
            )
        case Do.REDIRECT:
            return Reply(status=action.status or 302, headers={"Location": action.url})
        case _:
            return None


def _garbage(reply: Reply, action: Action) -> Reply:
    whole = reply.body if isinstance(reply.body, bytes) else b""
    status = action.status or reply.status
    match action.kind:
        case Garbage.HTML:
            page = b"<!DOCTYPE html><html><body><h1>Something went wrong</h1></body></html>"
            return Reply(status=status, body=page, content_type="text/html")
        case Garbage.BINARY:
            return Reply(status=status, body=bytes(range(256)) * 4, content_type=reply.content_type)
        case Garbage.CUT_JSON:
            return Reply(status=status, body=whole[: len(whole) // 2], content_type=reply.content_type)
        case Garbage.NESTED:
            return Reply(status=status, body=b"[" * 200_000, content_type=reply.content_type)
        case _:
            return Reply(status=status, content_type=reply.content_type)


async def _send(reply: Reply) -> web.StreamResponse:
    headers = {**reply.headers, "Content-Type": reply.content_type}
    if isinstance(reply.body, Path):
        if not await asyncio.to_thread(reply.body.is_file):
            return web.Response(status=404)
        return web.FileResponse(reply.body, status=reply.status, headers=headers)
    return web.Response(status=reply.status, body=reply.body, headers=headers)


async def _send_part(request: web.Request, reply: Reply) -> web.StreamResponse:
    length = await asyncio.to_thread(_length, reply)
    response = web.StreamResponse(
        status=reply.status,
        headers={**reply.headers, "Content-Type": reply.content_type, "Content-Length": str(max(length, 2))},
    )
    await response.prepare(request)
    left = max(length, 2) // 2
    async for piece in _pieces(reply):
        await response.write(piece[:left])
        left -= len(piece[:left])
        if not left:
            break
    _close(request)
    return response


async def _send_pieces(
    request: web.Request, reply: Reply, pieces: AsyncIterator[bytes]
) -> web.StreamResponse:
    response = web.StreamResponse(
        status=reply.status, headers={**reply.headers, "Content-Type": reply.content_type}
    )
    response.enable_chunked_encoding()
    await response.prepare(request)
    async for piece in pieces:
        await response.write(piece)
    await response.write_eof()
    return response


async def _slowly(reply: Reply, seconds: float) -> AsyncIterator[bytes]:
    steps = 10
    share = max(1, math.ceil(await asyncio.to_thread(_length, reply) / steps))
    async for piece in _pieces(reply, share):
        yield piece
        await asyncio.sleep(seconds / steps)


async def _with_more(reply: Reply, size: int) -> AsyncIterator[bytes]:
    async for piece in _pieces(reply):
        yield piece
    for start in range(0, size, _PIECE):
        yield bytes(min(_PIECE, size - start))


async def _huge(size: int) -> AsyncIterator[bytes]:
    yield b'{"text": "'
    for start in range(0, size, _PIECE):
        yield b"x" * min(_PIECE, size - start)
    yield b'"}'


async def _pieces(reply: Reply, share: int = _PIECE) -> AsyncIterator[bytes]:
    if isinstance(reply.body, bytes):
        for start in range(0, len(reply.body), share):
            yield reply.body[start : start + share]
        return
    file = reply.body.open("rb")  # not in a thread, which might open it after a cancellation, for nobody
    with file:
        while piece := await asyncio.to_thread(file.read, share):
            yield piece


def _length(reply: Reply) -> int:
    return len(reply.body) if isinstance(reply.body, bytes) else reply.body.stat().st_size


def _drop(request: web.Request) -> web.StreamResponse:
    """Reset the connection; what is returned is never sent."""
    if request.transport is not None:
        sock = request.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        request.transport.abort()
    return web.Response(status=499)


def _close(request: web.Request) -> None:
    """End the connection in an orderly way, after what was already written."""
    if request.transport is not None:
        request.transport.close()
