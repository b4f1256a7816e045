"""A real ComfyUI with this pack in ``custom_nodes`` under another folder name, for tests and the demo."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
STANDINS = ROOT / "tests" / "host" / "standins"
PACK = "Some-Other-Name"
"""Neither a name that Python could import nor the repository's. A dot would hide the help."""
_PATIENCE = 90.0
"""Seconds to start, on a machine that stalls; it takes about ten."""


class NotInstalled(Exception):
    """There is no ComfyUI on this machine; the message says how to get one."""


class DidNotStart(Exception):
    """The ComfyUI of this machine does not start; the message ends with what it printed."""


class Rejected(Exception):
    """ComfyUI did not take a prompt."""


@dataclass(frozen=True)
class Ended:
    """A prompt that has ended.

    Attributes:
        status: ``success``, ``error`` or ``interrupted``.
        outputs: what each node showed.
        error: ComfyUI's message about the node that failed.
        entry: all of ``/history``'s entry.
    """

    status: str
    outputs: Mapping[str, Any]
    error: Mapping[str, Any] | None
    entry: Mapping[str, Any] = field(repr=False)


def find() -> tuple[Path, Path]:
    """ComfyUI's folder, and the Python that runs it.

    Raises:
        NotInstalled: there is none.
    """
    folder = Path(os.environ.get("COMFYUI_PATH") or Path.home() / "comfy" / "ComfyUI")
    if not (folder / "main.py").is_file():
        raise NotInstalled(f"There is no ComfyUI in {folder}: make comfyui installs it.")
    environments = [folder / name / "bin" / "python" for name in (".venv", "venv")]
    own = [python for python in environments if python.exists()]
    return folder, own[0] if own else Path(sys.executable)


class ComfyUI:
    """A running server.

    Attributes:
        url: its address.
        base: its folders ``input``, ``output``, ``temp``, ``user`` and ``custom_nodes``.
        kill: ends it at once, as a crash does.
        send_signal: sends a signal to its process.
        wait_for_end: waits until its process has ended, for so many seconds at most.
    """

    def __init__(self, url: str, base: Path, log: Path, process: subprocess.Popen[bytes]) -> None:
        self.url = url
        self.base = base
        self.kill = process.kill
        self.send_signal = process.send_signal
        self.wait_for_end = process.wait
        self._log = log
        self.http = httpx.Client(base_url=url, timeout=30)

    @property
    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text("utf-8", "replace")

    def queue(self, prompt: Mapping[str, Any], client: str = "") -> str:
        """Queue an API-format workflow and return its id."""
        body = {"prompt": prompt, "client_id": client or uuid.uuid4().hex}
        reply = self.http.post("/prompt", json=body)
        if reply.status_code != 200 or reply.json()["node_errors"]:
            raise Rejected(reply.text)
        return reply.json()["prompt_id"]

    def wait(self, prompt_id: str, seconds: float = 60) -> Ended:
        """Wait until a prompt has ended."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            entry = self.http.get(f"/history/{prompt_id}").json().get(prompt_id)
            if entry is not None:
                return _ended(entry)
            time.sleep(0.05)
        raise TimeoutError(f"The prompt has not ended after {seconds} s.\n{self.log[-3000:]}")

    def run(self, prompt: Mapping[str, Any], seconds: float = 60) -> Ended:
        """Queue a workflow and wait for its end."""
        return self.wait(self.queue(prompt), seconds)

    def output(self, ended: Ended, node: str) -> Path:
        """The first file that a node saved."""
        [first, *_] = ended.outputs[node]["images"]
        return self.base / first["type"] / first["subfolder"] / first["filename"]


def _ended(entry: Mapping[str, Any]) -> Ended:
    messages = dict(entry["status"]["messages"])
    status = "interrupted" if "execution_interrupted" in messages else entry["status"]["status_str"]
    return Ended(status, entry["outputs"], messages.get("execution_error"), entry)


@contextmanager
def serve(
    base: Path, environment: Mapping[str, str], *, inherited: Mapping[str, str] = os.environ
) -> Generator[ComfyUI]:
    """Start a ComfyUI with this pack, and stop it at the end.

    Args:
        base: for its folders.
        environment: variables that are set for it.
        inherited: the others; those of this process.

    Raises:
        DidNotStart: it ended at its start, or took too long.
        NotInstalled: there is none.
    """
    folder, python = find()
    for name in ("input", "output", "custom_nodes"):
        (base / name).mkdir(parents=True, exist_ok=True)
    link = base / "custom_nodes" / PACK
    if not link.is_symlink():
        link.symlink_to(ROOT, target_is_directory=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = base / "comfyui.log"
    options = ["--cpu", "--listen", "127.0.0.1", "--port", str(port), "--base-directory", str(base)]
    options += ["--database-url", "sqlite:///:memory:", "--disable-all-custom-nodes"]
    options += ["--whitelist-custom-nodes", PACK]
    with log.open("ab") as file:
        process = subprocess.Popen(
            [str(python), "main.py", *options],
            cwd=folder,
            env={**inherited, "PYTHONPATH": str(STANDINS), **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    server = ComfyUI(f"http://127.0.0.1:{port}", base, log, process)
    try:
        _await_start(server, process)
        yield server
    finally:
        server.http.close()
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def starts_without_us() -> bool:
    """Whether ComfyUI starts when it is left to itself: if it does not, that is not for this pack to mend."""
    folder, python = find()
    with tempfile.TemporaryDirectory() as base:
        options = ["--cpu", "--base-directory", base, "--database-url", "sqlite:///:memory:"]
        done = subprocess.run(
            [str(python), "main.py", *options, "--disable-all-custom-nodes", "--quick-test-for-ci"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(STANDINS)},
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    return done.returncode == 0


def _await_start(server: ComfyUI, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if process.poll() is not None:
            raise DidNotStart(f"ComfyUI did not start:\n{server.log[-3000:]}")
        try:
            server.http.get("/system_stats")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise DidNotStart(f"ComfyUI has not started after {_PATIENCE} s:\n{server.log[-3000:]}")


def nodes(**named: tuple[str, Mapping[str, Any]]) -> dict[str, Any]:
    """An API-format workflow: ``name=(class, inputs)``; an input ``("name", 0)`` is a link."""
    return {
        name: {
            "class_type": kind,
            "inputs": {
                key: list(value) if isinstance(value, tuple) else value for key, value in inputs.items()
            },
        }
        for name, (kind, inputs) in named.items()
    }


def text_of(ended: Ended, node: str) -> Any:
    """What a PreviewAny node shows, read as JSON."""
    return json.loads(ended.outputs[node]["text"][0])
