"""What a user of a real ComfyUI feels: how soon an interrupt is answered, and whether the server stays awake.

ComfyUI runs with this pack and the sandbox. Interrupts come while a job runs at the provider. The server's
own loop is asked for something small, over and over, while it has nothing to do and while a picture of
4096 x 4096 pixels goes through a node: what the longest answer takes then is due to the node.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from comfyui_graphs import SEEDVR2  # noqa: E402
from comfyui_server import ComfyUI, DidNotStart, NotInstalled, nodes, serve  # noqa: E402
from goals import at_most  # noqa: E402
from sandbox_process import sandbox_process  # noqa: E402

INTERRUPTS = 7
MOST_SECONDS = 0.5
SIDE = 2048
JOB = 30.0
"""Seconds that a job takes that is to be interrupted."""
NODE = "RemoteUpscaleFalSeedVR2Image"


def graph(picture: str, seed: int) -> dict[str, Any]:
    """Load, upscale, and look at the report."""
    return nodes(
        load=("LoadImage", {"image": picture}),
        up=(NODE, {"image": ("load", 0), **SEEDVR2, "seed": seed}),
        end=("PreviewAny", {"source": ("up", 1)}),
    )


def interrupts(comfyui: ComfyUI) -> list[float]:
    """Seconds from asking for an interrupt to the end of the prompt."""
    taken: list[float] = []
    for number in range(INTERRUPTS):
        prompt = comfyui.queue(graph("small.png", number))
        time.sleep(2)  # the job is at the provider by then
        began = time.perf_counter()
        comfyui.http.post("/interrupt")
        assert comfyui.wait(prompt).status == "interrupted"
        taken.append(time.perf_counter() - began)
    return taken


def answers(comfyui: ComfyUI, during: Callable[[], object]) -> list[float]:
    """Seconds that each of the server's answers took meanwhile."""
    taken: list[float] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            began = time.perf_counter()
            comfyui.http.get("/prompt")
            taken.append(time.perf_counter() - began)
            time.sleep(0.002)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        during()
    finally:
        over.set()
        asking.join()
    return taken


def main() -> None:
    """Measure and print."""
    with TemporaryDirectory() as name:
        base = Path(name)
        (base / "input").mkdir()
        shutil.copy(ROOT / "demo" / "media" / "cat.png", base / "input" / "small.png")
        grain = np.random.default_rng(1).normal(128, 40, (SIDE, SIDE, 3)).clip(0, 255)
        cv2.imwrite(str(base / "input" / "large.png"), cv2.GaussianBlur(grain.astype(np.uint8), (0, 0), 3))
        try:
            with sandbox_process(seconds=JOB) as slow, serve(base, slow) as comfyui:
                taken = interrupts(comfyui)
            with sandbox_process(seconds=0) as quick, serve(base, quick) as comfyui:
                comfyui.run(graph("small.png", 1))  # what is imported by the first run
                idle = answers(comfyui, lambda: time.sleep(4))
                busy = answers(comfyui, lambda: comfyui.run(graph("large.png", 1)))
        except (NotInstalled, DidNotStart) as missing:
            print(f"ComfyUI: not measured. {missing}")
            return
    goal = at_most(MOST_SECONDS, "the longest interrupt, until the prompt has ended", max(taken), "s")
    print(f"{'in a real ComfyUI':<44}{'median':>10}{'longest':>10}")
    show("an interrupt, until the prompt has ended", taken, f"at most 500 ms: {goal.verdict}")
    show("an answer of the server with nothing to do", idle)
    show(f"the same while {2 * SIDE}² goes through a node", busy)


def show(title: str, seconds: list[float], words: str = "") -> None:
    """Print a row."""
    print(f"{title:<44}{statistics.median(seconds) * 1e3:>7.1f} ms{max(seconds) * 1e3:>7.1f} ms  {words}")


if __name__ == "__main__":
    main()
