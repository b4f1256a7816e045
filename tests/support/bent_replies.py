"""Replies that are sent otherwise than they should be."""

from __future__ import annotations

import asyncio
import math
import socket
import struct
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

from aiohttp import web
from faults import Action, Do, Garbage
from remote_upscale.api_clients.sandbox.exchange import NO_ANSWER, Answer
from remote_upscale.api_clients.sandbox.replies import Reply

_PIECE = 1 << 16
_NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""Closing then sends a reset, not an orderly end."""


async def send_bent(request: web.Request, reply: Reply, action: Action) -> Answer:
    """The real reply, sent wrongly."""
    match action.do:
        case Do.TRUNCATED:
            return await _send_part(request, reply)
        case Do.SLOW:
            return await _send_pieces(request, reply, _slowly(reply, action.seconds))
        case Do.OVERSIZED:
            return await _send_pieces(request, reply, _with_more(reply, action.size))
        case Do.GARBAGE if action.kind is Garbage.HUGE:
            return await _send_pieces(request, reply, _huge(action.size))
        case Do.GARBAGE:
            return garbage(reply, action)
        case Do.WRONG_TYPE:
            return replace(reply, content_type=action.content_type or "text/html")
        case _:
            return reply


def garbage(reply: Reply, action: Action) -> Reply:
    """No reply, of a kind that nobody documents."""
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


async def _send_part(request: web.Request, reply: Reply) -> web.StreamResponse:
    length = await asyncio.to_thread(_length, reply)
    response = web.StreamResponse(
        status=reply.status,
        headers={
            **reply.headers,
            **_version(reply),
            "Content-Type": reply.content_type,
            "Content-Length": str(max(length, 2)),
        },
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
        status=reply.status,
        headers={**reply.headers, **_version(reply), "Content-Type": reply.content_type},
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


def _version(reply: Reply) -> dict[str, str]:
    """The validator of a file, the same as the whole file is sent with."""
    if isinstance(reply.body, bytes):
        return {}
    found = reply.body.stat()
    return {"ETag": f'"{found.st_mtime_ns:x}-{found.st_size:x}"'}


def _length(reply: Reply) -> int:
    return len(reply.body) if isinstance(reply.body, bytes) else reply.body.stat().st_size


def drop(request: web.Request) -> web.StreamResponse:
    """Reset the connection; what is returned is never sent."""
    if request.transport is not None:
        sock = request.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        request.transport.abort()
    return web.Response(status=NO_ANSWER)


def _close(request: web.Request) -> None:
    """End the connection in an orderly way, after what was already written."""
    if request.transport is not None:
        request.transport.close()
