"""A clip of 1 GB through the command line and back: the client's peak memory over that of doing nothing.

The baselines are taken in the same run: the same command as a dry run, which sends nothing, and with a small
clip. The sandbox runs in another process and gives a clip back as it came at ``upscale_factor=1``, so what
arrives has to hold the pictures that were sent. This script imports nothing large itself, because what a
process used before it became another program counts in that program's peak too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from goals import at_most
from sandbox_process import sandbox_process

ROOT = Path(__file__).parents[1]
SMALL = ROOT / "demo" / "media" / "cat.mp4"
BYTES = 1_000_000_000
LIMIT = 150.0
COMMAND = (sys.executable, "-m", "remote_upscale", "run", "pixazo/seedvr2-3b-video", "-p", "upscale_factor=1")
CLIPS = (sys.executable, str(Path(__file__).with_name("noise_clip.py")))
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Measured:
    """What a run of the client took: peak resident memory in megabytes, and seconds."""

    megabytes: float
    seconds: float


def measure(arguments: Sequence[str], environment: Mapping[str, str]) -> Measured:
    """Run the client.

    Raises:
        SystemExit: it failed; it has said why.
    """
    began = time.perf_counter()
    client = subprocess.Popen([*COMMAND, *arguments], env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(client.pid, 0)
    client.returncode = os.waitstatus_to_exitcode(status)
    if client.returncode:
        raise SystemExit(f"The client ended with status {client.returncode}.")
    return Measured(usage.ru_maxrss * MAXRSS_UNIT / 1e6, time.perf_counter() - began)


def digest(clip: Path) -> str:
    """What a clip's pictures are."""
    return subprocess.run([*CLIPS, "digest", clip], stdout=subprocess.PIPE, text=True, check=True).stdout


def main() -> int:
    """Measure, print a table, and return 1 if the clip came back changed."""
    with TemporaryDirectory() as name, sandbox_process(seconds=1) as environment:
        folder = Path(name)
        large, back = folder / "large.mp4", folder / "back.mp4"
        subprocess.run([*CLIPS, "make", large, str(BYTES)], check=True)
        own = {**environment, "REMOTE_UPSCALE_HOME": name}
        runs = {
            "dry run": measure([str(SMALL), "-o", str(folder / "small.mp4"), "--dry-run"], own),
            f"{SMALL.stat().st_size / 1e6:.1f} MB": measure(
                [str(SMALL), "-o", str(folder / "small.mp4")], own
            ),
            f"{large.stat().st_size / 1e6:.0f} MB": measure([str(large), "-o", str(back)], own),
        }
        same = digest(large) == digest(back)
    idle, *_, last = (run.megabytes for run in runs.values())
    print(f"{'a clip of':<12}{'seconds':>9}{'peak':>10}{'to idle':>10}{'above idle':>13}{'limit':>10}")
    for title, run in runs.items():
        print(
            f"{title:<12}{run.seconds:>9.2f}{run.megabytes:>7.0f} MB{run.megabytes / idle:>9.2f}x"
            f"{run.megabytes - idle:>10.0f} MB{LIMIT:>7.0f} MB"
        )
    goal = at_most(LIMIT, f"memory above idle for a clip of {BYTES / 1e6:.0f} MB", last - idle, "MB")
    print(f"memory {goal.verdict}; the clip came back {'unchanged' if same else 'CHANGED'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
