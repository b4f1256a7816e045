"""Serves a sandbox until it is terminated: ``python bench/serve_sandbox.py SECONDS_OF_A_JOB [told]``."""

from __future__ import annotations

import asyncio
import json
import sys

from remote_upscale.api_clients.registry import MODELS, ROOTS
from remote_upscale.api_clients.sandbox import Delays, Sandbox, serve


def tell(sandbox: Sandbox) -> None:
    """Print the environment that points the providers' roots here, as a line of JSON."""
    print(json.dumps({ROOTS[name].variable: url for name, url in sandbox.roots.items()}), flush=True)


if __name__ == "__main__":
    seconds = float(sys.argv[1])
    delays = Delays(queue=seconds / 5, run=seconds * 4 / 5, told="told" in sys.argv)
    asyncio.run(serve(MODELS.values(), delays=delays, ready=tell))
