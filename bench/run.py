"""Runs every benchmark, whatever the ones before it came to, and lists all goals at the end.

    python bench/run.py [NAME…]

A name is that of a script without ``bench_``; without names all are run. The exit status is 1 if a goal was
missed or a benchmark failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from goals import FILE, Goal, read

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Ran:
    """A benchmark that has ended: its exit status, and the goals that it recorded."""

    status: int
    goals: Sequence[Goal]


def run(script: Path) -> Ran:
    """Run one benchmark; its output is shown as it comes."""
    print(f"\n=== {script.name}", flush=True)
    with TemporaryDirectory() as folder:
        record = Path(folder) / "goals"
        status = subprocess.run(
            [sys.executable, script], env={**os.environ, FILE: str(record)}, check=False
        ).returncode
        return Ran(status, read(record))


def summary(ran: Mapping[str, Ran]) -> list[str]:
    """A line for every goal and for every benchmark that failed."""
    lines: list[str] = []
    for name, one in ran.items():
        if one.status:
            lines.append(f"failed  {name:<20} ended with status {one.status}")
        for goal in one.goals:
            sign = "at most" if goal.most else "at least"
            lines.append(
                f"{goal.verdict:<7} {name:<20} {goal.what:<58} "
                f"{goal.value:>9.4g} {goal.unit:<3} {sign} {goal.bound:g}".rstrip()
            )
    return lines


def main(names: Sequence[str], folder: Path = HERE) -> int:
    """Run the benchmarks in a folder and print the summary; 1 if anything was missed or failed."""
    scripts = [
        script
        for script in sorted(folder.glob("bench_*.py"))
        if not names or script.stem.removeprefix("bench_") in names
    ]
    if not scripts:
        print("There is no such benchmark.", file=sys.stderr)
        return 2
    ran = {script.stem.removeprefix("bench_"): run(script) for script in scripts}
    goals = [goal for one in ran.values() for goal in one.goals]
    missed = sum(not goal.met for goal in goals)
    failed = sum(one.status != 0 for one in ran.values())
    print("\n=== all goals", *summary(ran), sep="\n")
    print(f"\n{len(goals) - missed} met, {missed} missed; {failed} benchmarks failed")
    return 1 if missed or failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
