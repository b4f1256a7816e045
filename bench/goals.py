"""What the benchmarks are meant to reach. A goal that is missed is recorded, and measuring goes on."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "BENCH_GOALS"
"""The environment variable with the path of the file in which ``run.py`` wants the goals recorded."""


@dataclass(frozen=True)
class Goal:
    """A goal, and what was measured.

    Attributes:
        what: what was measured, in a few words.
        value: what came out.
        bound: what it should be at most, or at least.
        most: whether ``bound`` is the most.
        unit: of both.
    """

    what: str
    value: float
    bound: float
    most: bool
    unit: str

    @property
    def met(self) -> bool:
        """Whether the value is as good as the bound."""
        return self.value <= self.bound if self.most else self.value >= self.bound

    @property
    def verdict(self) -> str:
        """``met`` or ``missed``."""
        return "met" if self.met else "missed"


def at_most(bound: float, what: str, value: float, unit: str = "") -> Goal:
    """Record a goal whose value should not pass ``bound``."""
    return _record(Goal(what, value, bound, most=True, unit=unit))


def at_least(bound: float, what: str, value: float, unit: str = "") -> Goal:
    """Record a goal whose value should reach ``bound``."""
    return _record(Goal(what, value, bound, most=False, unit=unit))


def read(path: Path) -> list[Goal]:
    """The goals recorded in a file."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [Goal(**json.loads(line)) for line in lines]


def _record(goal: Goal) -> Goal:
    if path := os.environ.get(FILE):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(goal)) + "\n")
    return goal
