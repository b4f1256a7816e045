#!/usr/bin/env python3
"""Runs an API-format workflow in ComfyUI, and saves what it makes.

Usage: queue_workflow.py WORKFLOW OUTPUT [--input FILE] [--server URL]

It waits over ComfyUI's WebSocket, and prints the words that nodes show meanwhile. It needs aiohttp and
nothing else. In ComfyUI, File > Export (API) writes a workflow in this format.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import struct
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp

TEXT = 3
"""ComfyUI's number for a binary message with words on a node."""
LOADERS = {"LoadImage": "image", "LoadVideo": "file"}
"""Nodes that load a file, and the input that names it."""


class Failed(Exception):
    """The message says why, in one sentence."""


async def run(arguments: argparse.Namespace) -> None:
    """Queue the workflow, wait, and save what it has made.

    Raises:
        Failed: ComfyUI could not do it.
    """
    workflow = read(arguments.workflow)
    client = uuid.uuid4().hex
    async with aiohttp.ClientSession(arguments.server.rstrip("/") + "/") as session:
        if arguments.input:
            replace_input(workflow, await upload(session, arguments.input))
        # Connected before it is queued, so that no message is missed.
        async with session.ws_connect("ws", params={"clientId": client}) as socket:
            prompt, left_out = await queue(session, workflow, client)
            await wait(socket, prompt, workflow)
        async for name, content in fetch(session, prompt):
            print(save(arguments.output, name, content))
    if left_out:
        raise Failed(left_out)


def read(path: Path) -> dict[str, Any]:
    """The workflow in a file."""
    try:
        workflow = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Failed(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError:
        workflow = None
    if not isinstance(workflow, dict) or not all("class_type" in node for node in workflow.values()):
        raise Failed(f"{path} is not in the API format, which File > Export (API) writes in ComfyUI.")
    return workflow


async def upload(session: aiohttp.ClientSession, path: Path) -> str:
    """Put a file into ComfyUI's input folder; its name there."""
    try:
        form = aiohttp.FormData({"image": path.open("rb")})
    except OSError as error:
        raise Failed(f"{path} cannot be read: {error.strerror}.") from error
    async with session.post("upload/image", data=form) as reply:
        if reply.status != 200:
            raise Failed(f"ComfyUI did not take {path} (HTTP {reply.status}).")
        stored = await reply.json()
    return "/".join(part for part in (stored["subfolder"], stored["name"]) if part)


def replace_input(workflow: dict[str, Any], name: str) -> None:
    """Let the first node that loads a file load this one."""
    for node in workflow.values():
        if node["class_type"] in LOADERS:
            node["inputs"][LOADERS[node["class_type"]]] = name
            return
    raise Failed(f"The workflow has no node that could load a file: {' or '.join(LOADERS)}.")


async def queue(session: aiohttp.ClientSession, workflow: dict[str, Any], client: str) -> tuple[str, str]:
    """The prompt's id, and what ComfyUI leaves out of the workflow, as a sentence or nothing."""
    async with session.post("prompt", json={"prompt": workflow, "client_id": client}) as reply:
        answer = await reply.json()
    wrong = "; ".join(mistakes(workflow, answer.get("node_errors") or {}))
    if reply.status != 200:
        raise Failed(f"ComfyUI refuses the workflow: {wrong or answer['error']['message']}.")
    return answer["prompt_id"], f"ComfyUI left out a part of the workflow: {wrong}." if wrong else ""


def mistakes(workflow: dict[str, Any], node_errors: dict[str, Any]) -> Iterator[str]:
    """What is wrong with which node."""
    for node, found in node_errors.items():
        for error in found["errors"]:
            yield f"{title(workflow, node)}: {error['message']} ({error['details']})"


async def wait(socket: aiohttp.ClientWebSocketResponse, prompt: str, workflow: dict[str, Any]) -> None:
    """Print what nodes say until the prompt has ended.

    Raises:
        Failed: a node failed, or somebody interrupted it.
    """
    async for message in socket:
        if message.type is aiohttp.WSMsgType.BINARY:
            say(message.data, workflow)
            continue
        event = json.loads(message.data)
        data = event.get("data") or {}
        if data.get("prompt_id") != prompt:
            continue
        if event["type"] == "execution_error":
            words = " ".join(data["exception_message"].split())
            raise Failed(f"{title(workflow, data['node_id'])}: {words}")
        if event["type"] == "execution_interrupted":
            raise Failed("The workflow was interrupted.")
        if event["type"] == "executing" and data["node"] is None:
            return
    raise Failed("ComfyUI closed the connection before the workflow had ended.")


def say(message: bytes, workflow: dict[str, Any]) -> None:
    """Print the words that a node shows; before them come the kind, the length of the node's id, and it."""
    kind, length = struct.unpack(">II", message[:8])
    if kind == TEXT:
        node, words = message[8 : 8 + length].decode(), message[8 + length :].decode()
        print(f"{title(workflow, node)}: {words}", file=sys.stderr, flush=True)


def title(workflow: dict[str, Any], node: str) -> str:
    """What a node is called."""
    found = workflow.get(node, {})
    return found.get("_meta", {}).get("title") or found.get("class_type") or f"node {node}"


async def fetch(session: aiohttp.ClientSession, prompt: str) -> AsyncIterator[tuple[str, bytes]]:
    """The files that the prompt has put into ComfyUI's output folder, each with its name."""
    async with session.get(f"history/{prompt}") as reply:
        outputs = (await reply.json())[prompt]["outputs"]
    shown = [one for output in outputs.values() for items in output.values() for one in items]
    for one in shown:
        if isinstance(one, dict) and one.get("type") == "output":
            where = {name: one[name] for name in ("filename", "subfolder", "type")}
            async with session.get("view", params=where, raise_for_status=True) as reply:
                yield one["filename"], await reply.read()


def save(folder: Path, name: str, content: bytes) -> Path:
    """Write a file, and give its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / Path(name).name
    path.write_bytes(content)
    return path


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="Run an API-format workflow in ComfyUI.")
    parser.add_argument("workflow", type=Path, help="a JSON file in the API format")
    parser.add_argument("output", type=Path, help="folder for what the workflow makes")
    parser.add_argument(
        "--input", type=Path, help="picture or clip for the first LoadImage or LoadVideo node"
    )
    parser.add_argument("--server", default="http://127.0.0.1:8188", help="where ComfyUI is (%(default)s)")
    arguments = parser.parse_args()
    try:
        asyncio.run(run(arguments))
    except Failed as failure:
        sys.exit(str(failure))
    except aiohttp.ClientError as error:
        sys.exit(f"ComfyUI cannot be reached at {arguments.server}: {error}.")


if __name__ == "__main__":
    main()
