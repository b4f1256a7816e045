"""The sandbox in a process of its own, so that what a benchmark measures is the client alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def sandbox_process(*, seconds: float, told: bool = False) -> Iterator[dict[str, str]]:
    """Run a sandbox whose jobs take ``seconds``, a fifth of them in the queue.

    Args:
        seconds: how long.
        told: whether it says so to whoever submits one, which the providers do not.

    Yields:
        The environment of a client that sends its jobs there; ``REMOTE_UPSCALE_HOME`` is still to be set.
    """
    command = [
        sys.executable,
        Path(__file__).with_name("serve_sandbox.py"),
        str(seconds),
        *(["told"] if told else []),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            variables = json.loads(process.stdout.readline())
            variables |= dict.fromkeys(("PIXAZO_API_KEY", "APIXO_API_KEY", "FAL_KEY"), "sandbox")
            own = {
                name: value for name, value in os.environ.items() if not name.startswith("REMOTE_UPSCALE_")
            }
            yield own | variables | {"REMOTE_UPSCALE_HOSTING": "fal"}
        finally:
            process.terminate()
