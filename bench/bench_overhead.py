"""What a job takes by itself: a fresh process of the command line, and a provider that needs no time.

The baseline, in turns with it in the same run, is ``bare_job.py``: a process that imports the same libraries,
makes the same requests, writes one row durably and decodes the picture. The sandbox runs in another process
and has no delays, but it does enlarge the picture, which is part of both times.

Then, where the system tells it, what such a process reads and writes for each picture and each clip more that
it is given, as multiples of the input and the result together. Sockets are counted only as far as the system
counts them.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from goals import at_most
from noise_clip import make
from PIL import Image
from sandbox_process import sandbox_process

TURNS = 9
SIDE = 512
LIMIT = 1.5
CLIP_BYTES = 8_000_000
BARE = (sys.executable, str(Path(__file__).with_name("bare_job.py")))
RUN = (sys.executable, "-m", "remote_upscale", "run", "--json")
PICTURE = "pixazo/crystal-image"
CLIP = "pixazo/seedvr2-3b-video"
COUNTED = Path("/proc/self/io").exists()


@dataclass(frozen=True)
class Ended:
    """A process that has ended: its seconds, what it read and wrote in bytes, and its lines of output."""

    seconds: float
    read: int
    written: int
    lines: Sequence[str]


def run(command: Sequence[str], environment: Mapping[str, str]) -> Ended:
    """Run a process to its end.

    Raises:
        SystemExit: it failed.
    """
    began = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        counts = {"rchar": 0, "wchar": 0}
        if COUNTED:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and can still be asked
            for line in Path(f"/proc/{process.pid}/io").read_text().splitlines():
                name, _, value = line.partition(": ")
                counts[name] = int(value)
        status = process.wait()
    if status:
        raise SystemExit(f"{' '.join(command)} ended with status {status}: {lines}")
    return Ended(time.perf_counter() - began, counts["rchar"], counts["wchar"], lines)


def noise(path: Path, side: int = SIDE) -> Path:
    """A picture that does not compress."""
    Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)).save(path)
    return path


def compare(folder: Path, environment: Mapping[str, str]) -> None:
    """Take turns, and print the medians and their ratio."""
    seconds: dict[str, list[float]] = {"bare": [], "job": []}
    for turn in range(TURNS + 1):
        picture = noise(folder / f"{turn}.png")
        bare = run([*BARE, str(picture), str(folder / f"{turn}-bare.png")], environment).seconds
        job = run([*RUN, PICTURE, str(picture), "-o", str(folder / f"{turn}-job.png")], environment).seconds
        if turn:  # in the first one Python compiles, and the ledger is made
            seconds["bare"].append(bare)
            seconds["job"].append(job)
    bare, job = statistics.median(seconds["bare"]), statistics.median(seconds["job"])
    goal = at_most(LIMIT, f"a job of a {SIDE}² picture, to the bare minimum", job / bare, "x")
    print(f"one job of a {SIDE}² picture in a fresh process; medians of {TURNS} turns, and the shortest")
    print(f"{'bare minimum':<20}{bare:>8.3f} s{min(seconds['bare']):>10.3f} s")
    print(f"{'remote-upscale run':<20}{job:>8.3f} s{min(seconds['job']):>10.3f} s", end="")
    print(f"{job / bare:>8.2f}x  at most {LIMIT:.2f}x: {goal.verdict}", flush=True)


def tell_traffic(
    what: str, model: Sequence[str], inputs: Sequence[Path], environment: Mapping[str, str]
) -> None:
    """Print what each input but the first adds to what a process reads and writes.

    Args:
        what: to call one of them.
        model: its id, and parameters.
        inputs: all different, about as large as each other; the first one is run alone.
        environment: of the client.
    """
    target = inputs[0].parent / f"{what}s"
    one = run([*RUN, *model, str(inputs[0]), "-o", f"{target}/"], environment)
    many = run([*RUN, *model, *map(str, inputs[1:]), "-o", f"{target}/"], environment)
    more = len(inputs) - 2
    results = [Path(json.loads(line)["output"]) for line in many.lines]
    moved = sum(path.stat().st_size for path in [*inputs[1:], *results]) / len(results)
    read, written = (many.read - one.read) / more, (many.written - one.written) / more
    print(
        f"{what:<10}{moved / 1e6:>18.1f} MB{read / 1e6:>10.1f} MB{read / moved:>7.2f}x"
        f"{written / 1e6:>10.1f} MB{written / moved:>7.2f}x",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    with TemporaryDirectory() as name, sandbox_process(seconds=0, told=True) as environment:
        folder = Path(name)
        environment |= {"REMOTE_UPSCALE_HOME": str(folder / "home")}
        environment |= {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
        compare(folder, environment)
        if not COUNTED:
            print("This system does not tell what a process reads and writes.")
            return
        print(f"{'':<10}{'input and result':>21}{'read':>20}{'written':>20}")
        pictures = [noise(folder / f"picture-{number}.png") for number in range(6)]
        tell_traffic("picture", [PICTURE], pictures, environment)
        clips = [folder / f"clip-{number}.mp4" for number in range(4)]
        for clip in clips:
            make(clip, CLIP_BYTES)
        tell_traffic("clip", [CLIP, "-p", "upscale_factor=1"], clips, environment)


if __name__ == "__main__":
    main()
