import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from faulty_sandbox import FaultySandbox
from PIL import Image
from remote_upscale.api_clients.cli import main
from remote_upscale.api_clients.registry import MODELS, PROVIDERS, ROOTS
from remote_upscale.api_clients.sandbox import Delays


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A machine on which nothing is configured, and a folder to work in."""
    for name in list(os.environ):
        keys = [provider.key_variable for provider in PROVIDERS.values()]
        if name.startswith(("REMOTE_UPSCALE_", "AWS_")) or name in keys:
            monkeypatch.delenv(name)
    monkeypatch.setenv("REMOTE_UPSCALE_HOME", str(tmp_path / "home"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return tmp_path / "home"


@pytest.fixture
def picture():
    """Makes a small picture with content of its own."""
    made = iter(range(1, 1000))

    def make(name="photo.png", size=(24, 16)):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        shade = next(made)
        Image.new("RGB", size, (shade, 90, 200)).save(path)
        return path

    return make


@pytest.fixture
def key():
    """The key of every provider."""
    return "key-d41f-not-to-be-found-anywhere"


@pytest.fixture
def remote(monkeypatch, key):
    """All providers, served in this process from a thread, and the environment set up for them."""
    started = threading.Event()
    holder = {}

    async def serve():
        async with FaultySandbox(MODELS.values(), delays=Delays(queue=0.0, run=0.0)) as sandbox:
            holder.update(sandbox=sandbox, loop=asyncio.get_running_loop(), stop=asyncio.Event())
            started.set()
            await holder["stop"].wait()

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    assert started.wait(20)
    for name, url in holder["sandbox"].roots.items():
        monkeypatch.setenv(ROOTS[name].variable, url)
    for provider in PROVIDERS.values():
        monkeypatch.setenv(provider.key_variable, key)
    yield holder["sandbox"]
    holder["loop"].call_soon_threadsafe(holder["stop"].set)
    thread.join()


@pytest.fixture
def cli(capfd):
    """Runs the command in this process: its exit status, standard output and standard error."""

    def run(*words):
        capfd.readouterr()
        status = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return Ran(status, out, err)

    return run


class Ran:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    @property
    def documents(self):
        """Standard output as JSON lines; fails if there is anything else on it."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def start():
    """Starts the command as a process of its own."""
    running = []

    def run(*words, **options):
        usual = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
        }
        command = [sys.executable, "-m", "remote_upscale", *map(str, words)]
        process = subprocess.Popen(command, **(usual | options))
        running.append(process)
        return process

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
