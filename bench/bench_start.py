"""What this pack adds to ComfyUI's start: importing it, making its nodes, and describing them to the browser.

Each turn is a fresh process in which ComfyUI has loaded all of its own by then, just as where it comes to
custom nodes; the pack is loaded by ComfyUI's own function. Files are in the system's cache. The first turn,
in which Python compiles what it has not seen yet, does not count.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
TURNS = 5
GOAL = 150.0
MARK = "measured: "


def main() -> None:
    """Measure and print a table."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    # In ComfyUI's process these are not there.
    from comfyui_server import STANDINS, NotInstalled, find, starts_without_us  # noqa: PLC0415
    from goals import at_most  # noqa: PLC0415

    try:
        folder, python = find()
    except NotInstalled as missing:
        print(f"{missing} What the pack adds to its start was not measured.")
        return
    if not starts_without_us():
        print(f"The ComfyUI in {folder} does not start. What the pack adds to its start was not measured.")
        return
    with TemporaryDirectory() as base:
        command = [str(python), str(Path(__file__)), str(folder), base]
        environment = {**os.environ, "PYTHONPATH": str(STANDINS)}
        turns = [turn(command, environment) for _ in range(TURNS + 1)][1:]
    columns = zip(*turns, strict=True)
    both = statistics.median(map(sum, turns))
    print(f"{'added to the start of ComfyUI':<32}{'median':>10}{'longest':>10}")
    for title, values in zip(("import and nodes", "descriptions of the nodes"), columns, strict=True):
        print(f"{title:<32}{statistics.median(values):>7.1f} ms{max(values):>7.1f} ms")
    goal = at_most(GOAL, "what the pack adds to the start of ComfyUI", both, "ms")
    print(
        f"{'both':<32}{both:>7.1f} ms{max(map(sum, turns)):>7.1f} ms  at most {GOAL:.0f} ms: {goal.verdict}"
    )


def turn(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Milliseconds for the import and for the descriptions, in a process of its own.

    Raises:
        RuntimeError: the process failed.
    """
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith(MARK)), None)
    if line is None:
        raise RuntimeError(f"ComfyUI could not load the pack:\n{done.stderr[-3000:]}")
    loading, describing = json.loads(line.removeprefix(MARK))
    return loading, describing


def once(folder: str, base: str) -> None:
    """Be ComfyUI up to where it comes to custom nodes, then load this pack and print the times."""
    os.chdir(folder)
    sys.path[0] = folder
    sys.argv = ["main.py", "--cpu", "--disable-all-custom-nodes", "--base-directory", base]
    importlib.import_module("main")  # ComfyUI's own, which loads all that it needs
    nodes: Any = importlib.import_module("nodes")
    asyncio.run(nodes.init_extra_nodes(init_custom_nodes=False))
    before = set(nodes.NODE_CLASS_MAPPINGS)
    began = time.perf_counter()
    loaded = asyncio.run(nodes.load_custom_node(str(ROOT)))
    made = time.perf_counter()
    ours = [node for name, node in nodes.NODE_CLASS_MAPPINGS.items() if name not in before]
    for node in ours:
        node.INPUT_TYPES()
    described = time.perf_counter()
    if loaded and ours:
        print(f"\n{MARK}{json.dumps([1e3 * (made - began), 1e3 * (described - made)])}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        once(*sys.argv[1:])
    else:
        main()
