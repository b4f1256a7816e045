"""A client that is connected to a ComfyUI over its WebSocket, as a browser is."""

from __future__ import annotations

import asyncio
import struct
import threading
import uuid
from collections.abc import Generator
from contextlib import contextmanager

import aiohttp

_TEXT = 3
"""ComfyUI's number for words on a node: behind it the length of the node's id, the id, and the words."""


class Listener:
    """What a client is told.

    Attributes:
        client: its id, to queue prompts with.
        texts: the nodes' words, each with the node's id, as they come.
        progress: (value, max) of each node's bar, as they come.
    """

    def __init__(self) -> None:
        self.client = uuid.uuid4().hex
        self.texts: list[tuple[str, str]] = []
        self.progress: list[tuple[str, float, float]] = []

    def hear(self, message: aiohttp.WSMessage) -> None:
        """Take in a message."""
        if message.type is aiohttp.WSMsgType.TEXT:
            content = message.json()
            if content["type"] == "progress_state":
                for node, state in content["data"]["nodes"].items():
                    self.progress.append((node, state["value"], state["max"]))
        elif message.type is aiohttp.WSMsgType.BINARY:
            kind, length = struct.unpack(">II", message.data[:8])
            if kind == _TEXT:
                told = message.data[8:]
                self.texts.append((told[:length].decode(), told[length:].decode()))


@contextmanager
def listening(url: str) -> Generator[Listener]:
    """Connect a new client to a ComfyUI, until the end."""
    listener = Listener()
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def listen() -> None:
        address = f"{url.replace('http', 'ws', 1)}/ws?clientId={listener.client}"
        async with aiohttp.ClientSession() as session, session.ws_connect(address) as socket:
            ready.set()
            async for message in socket:
                listener.hear(message)

    task = loop.create_task(listen())
    thread = threading.Thread(target=_run, args=(loop, task))
    thread.start()
    try:
        if not ready.wait(10):
            raise TimeoutError(f"{url} does not take a WebSocket")
        yield listener
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()


def _run(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    try:
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
