"""Memory of a batch of large pictures on its way through a node, above that of its sources and results.

Sixteen pictures of 4096 x 4096 pixels go to the sandbox, which runs in another process, and come back in the
same size. Everything else is as in ComfyUI: encoding, the engine, the result store, and decoding into one
tensor. A small batch goes first, as it brings the code into memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from goals import at_most
from sandbox_process import sandbox_process

COUNT, SIDE = 16, 4096
LIMIT = 0.5
"""Gigabytes."""
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


def resident() -> int:
    """Bytes of this process in main memory now; where the system does not say it, the most there were."""
    file = Path("/proc/self/statm")
    if file.exists():
        return int(file.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return peak()


def peak() -> int:
    """The most bytes of this process that were in main memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_UNIT


def pictures(count: int, side: int) -> Any:
    """Soft shapes with grain, each picture another one. [count,side,side,3]."""
    import cv2  # noqa: PLC0415 (the parent process stays small)
    import numpy as np  # noqa: PLC0415
    import torch  # noqa: PLC0415

    rng = np.random.default_rng(1)
    images = torch.empty(count, side, side, 3)
    grain = rng.normal(0, 4 / 255, (side, side, 1)).astype(np.float32)
    for image in images.numpy():
        cv2.resize(rng.random((9, 9, 3), np.float32), (side, side), dst=image, interpolation=cv2.INTER_LINEAR)
        np.add(image, np.roll(grain, rng.integers(side)), out=image)
    return images


def measure(home: Path) -> dict[str, float]:
    """Send both batches, in a process of its own: bytes of sources, results, and above them; seconds."""
    from remote_upscale.api_clients.registry import find_model  # noqa: PLC0415
    from remote_upscale.api_clients.settings import Settings  # noqa: PLC0415
    from remote_upscale.nodes.image import Batch, upscale_images  # noqa: PLC0415
    from remote_upscale.nodes.options import RunOptions  # noqa: PLC0415
    from remote_upscale.nodes.progress import NodeProgress  # noqa: PLC0415
    from remote_upscale.nodes.runtime import Runtime  # noqa: PLC0415
    from remote_upscale.nodes.working_folder import WorkingFolder  # noqa: PLC0415

    model = find_model("fal/seedvr2-image")
    parameters = {"upscale_factor": 1.0, "output_format": "png"}
    runtime = Runtime(lambda account: Settings.load(home=home, account=account))

    def upscale(images: Any, name: str) -> Any:
        (home / name).mkdir(parents=True)
        folder = WorkingFolder(home / name)
        batch = Batch(model=model, images=images, parameters=parameters, options=RunOptions(), folder=folder)
        with folder.hold():
            return asyncio.run(upscale_images(batch, runtime, NodeProgress(len(images)))).images

    upscale(pictures(2, 256), "small")
    images = pictures(COUNT, SIDE)
    before, began = resident(), time.perf_counter()
    made = upscale(images, "large")
    seconds = time.perf_counter() - began
    assert made.shape == images.shape
    results = made.numel() * made.element_size()
    sources = images.numel() * images.element_size()
    runtime.close()
    return {
        "sources": sources,
        "results": results,
        "above": peak() - before - results,
        "seconds": seconds,
    }


def main() -> int:
    """Measure, print a table, and return 1 if the limit was missed."""
    with TemporaryDirectory() as name, sandbox_process(seconds=0) as environment:
        command = [sys.executable, __file__, name]
        found = json.loads(
            subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout
        )
    sources, results, above = (found[key] / 1e9 for key in ("sources", "results", "above"))
    goal = at_most(LIMIT, f"memory of {COUNT} pictures of {SIDE}² above sources and results", above, "GB")
    print(f"{'a batch of':<22}{'seconds':>9}{'sources':>11}{'results':>11}{'above':>11}{'limit':>11}")
    print(
        f"{f'{COUNT} pictures of {SIDE}²':<22}{found['seconds']:>9.1f}{sources:>8.2f} GB{results:>8.2f} GB"
        f"{above:>8.2f} GB{LIMIT:>8.2f} GB  {goal.verdict}"
    )
    return 0 if goal.met else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(Path(sys.argv[1]))))
        sys.exit()
    sys.exit(main())
