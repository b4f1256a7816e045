"""A process with a runtime that a signal ends, as ComfyUI is one: ``python runtime_process.py SOURCE HOME``.

As in ComfyUI, the main thread serves a loop and takes Ctrl-C for its end, prompts run in another thread,
and nothing else is done at the end. It prints a line when its job is at the provider.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from dataclasses import replace
from pathlib import Path

from remote_upscale.api_clients.engine import Job, Progress, Stage
from remote_upscale.api_clients.registry import find_model
from remote_upscale.api_clients.settings import Settings
from remote_upscale.nodes.runtime import Runtime
from remote_upscale.nodes.shutdown import at_shutdown, heed_sigterm


def main() -> None:
    """Run one job of fal's until a signal comes."""
    source, home = map(Path, sys.argv[1:])
    runtime = Runtime(lambda account: replace(Settings.load(home=home, account=account), poll_floor=0.02))
    at_shutdown(runtime.close)
    job = Job(model=find_model("fal/seedvr2-image"), parameters={}, source=source)

    def tell(progress: Progress) -> None:
        if progress.stage is Stage.RUNNING:
            print("running", flush=True)

    def prompt() -> None:
        try:
            asyncio.run(runtime.run("", job, tell))
        except Exception as error:  # noqa: BLE001 (ComfyUI shows it)
            print(f"{type(error).__name__}: {error}", flush=True)

    heed_sigterm()
    threading.Thread(target=prompt, daemon=True).start()
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(loop.create_future())
    except KeyboardInterrupt:
        print("Stopped server", flush=True)


if __name__ == "__main__":
    main()
