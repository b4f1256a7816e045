"""What a crash run did and found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

STAGES = ("upload", "submit", "status", "fetch", "store")
"""Each has to be hit. A kill that falls on none came before the first request, or at the very end."""

_MOST_SHOWN = 25


@dataclass
class Report:
    """Counts of a whole run; all lanes add to one.

    Attributes:
        kills: processes that were killed while they worked, ``resume`` among them.
        resumes: how many of those were ``resume``.
        beside: how many had a second process at the same inputs.
        aimed: how often each stage's moment was waited for and came.
        fell: kills by the stages that some input was in; one kill can fall on several.
        missed: processes that ended before their moment came.
        rounds: batches of inputs that were seen through.
        inputs: pictures in them.
        charged: jobs that the sandbox counts as charged.
        decisions: times that a person decided to pay again for an input whose submit is unknown.
        violations: what must not be.
    """

    seed: int
    kills: int = 0
    resumes: int = 0
    beside: int = 0
    aimed: Counter[str] = field(default_factory=Counter)
    fell: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    rounds: int = 0
    inputs: int = 0
    charged: int = 0
    decisions: int = 0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)

    @property
    def never_hit(self) -> list[str]:
        """The stages that no kill fell on."""
        return [stage for stage in STAGES if not self.fell[stage]]

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}: {self.kills} kills in {self.seconds:.0f} s ({self.resumes} of resume, "
            f"{self.beside} beside a second process); {self.missed} processes ended before their moment",
            f"{self.rounds} rounds, {self.inputs} inputs, {self.charged} jobs charged, "
            f"{self.decisions} decisions to pay again",
            f"{'stage':9} {'aimed at':>8} {'fell on':>8}",
            *(f"{stage:9} {self.aimed[stage]:8} {self.fell[stage]:8}" for stage in (*STAGES, "any", "none")),
            f"{len(self.violations)} violations",
            *self.violations[:_MOST_SHOWN],
        ]
        return "\n".join(lines)
