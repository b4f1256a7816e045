"""A SOCKS5 proxy on loopback that leads every name to one server, and writes down what it was asked for."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class SocksProxy:
    """An async context manager.

    Args:
        port: where on loopback everybody is led to.
        user: name and password that are wanted; ``None`` for nobody.
        answer: the second byte of the answer to a request; 0 is yes.

    Attributes:
        asked: hosts and ports that were asked for, hosts as they came.
        login: the names and passwords that were given.
    """

    def __init__(self, port: int, *, user: tuple[str, str] | None = None, answer: int = 0) -> None:
        self._to, self._user, self._answer = port, user, answer
        self.asked: list[tuple[str, int]] = []
        self.login: list[tuple[str, str]] = []

    async def __aenter__(self) -> SocksProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        version, count = await reader.readexactly(2)
        assert version == 5
        await reader.readexactly(count)
        writer.write(b"\x05\x02" if self._user else b"\x05\x00")
        if self._user:
            await reader.readexactly(1)
            name, password = [
                (await reader.readexactly((await reader.readexactly(1))[0])).decode() for _ in range(2)
            ]
            self.login.append((name, password))
            writer.write(b"\x01\x00" if (name, password) == self._user else b"\x01\x01")
        _version, _command, _zero, kind = await reader.readexactly(4)
        assert kind == 3, "the name is for the proxy to look up"
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        port = int.from_bytes(await reader.readexactly(2))
        self.asked.append((host, port))
        writer.write(bytes([5, self._answer, 0, 1, 127, 0, 0, 1, 0, 0]))
        if self._answer == 0:
            to, back = await asyncio.open_connection("127.0.0.1", self._to)
            await asyncio.gather(_copy(reader, back), _copy(to, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
    writer.close()
