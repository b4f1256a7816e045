"""Moments at which a process can be killed, and the sandbox's faults that make them last."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from faults import Action, Faults, hang, slow, state

from .watch import Watch

Happened = Callable[[Watch], int]
"""How many events of a kind there were so far."""


@dataclass(frozen=True, kw_only=True)
class Aim:
    """A moment: some time after the first few events of a kind.

    Attributes:
        stage: what is aimed at; ``any`` for a random moment of the whole run.
        counts: counts the events.
        latest: seconds after the event within which the process is killed.
        obstacle: a fault of that stage, which makes it last.
    """

    stage: str
    counts: Happened
    latest: float = 0.03
    obstacle: Action | None = None

    def obstruct(self, faults: Faults, times: int) -> None:
        """Put the fault in force."""
        if self.obstacle is not None:
            faults.add({"fetch": "download"}.get(self.stage, self.stage), self.obstacle, times=times)


def _asked(stage: str) -> Happened:
    return lambda watch: len(watch.of(stage))


def _answered(stage: str) -> Happened:
    return lambda watch: sum(entry.status is not None for entry in watch.of(stage))


ANY = Aim(stage="any", counts=lambda _watch: 1)

_BUSY = {"pixazo": "PROCESSING", "apixo": "processing", "fal": "IN_PROGRESS"}


def choose(rng: random.Random, stage: str, provider: str) -> Aim:
    """A moment of that stage."""
    asked, answered = _asked(stage), _answered(stage)
    match stage:
        case "any":
            return ANY
        case "upload":
            aims = [
                Aim(stage=stage, counts=asked),
                Aim(stage=stage, counts=answered),
                Aim(stage=stage, counts=asked, latest=0.2, obstacle=slow(0.2)),
            ]
        case "submit":
            aims = [
                Aim(stage=stage, counts=asked),
                Aim(stage=stage, counts=answered, latest=0.02),
                Aim(stage=stage, counts=asked, latest=0.3, obstacle=slow(0.3)),
                Aim(stage=stage, counts=asked, latest=0.1, obstacle=hang()),
                Aim(stage=stage, counts=asked, latest=0.1, obstacle=hang(accepted=True)),
            ]
        case "status":
            busy = state(_BUSY[provider])
            aims = [
                Aim(stage=stage, counts=asked),
                Aim(stage=stage, counts=asked, latest=0.2, obstacle=slow(0.2)),
                Aim(stage=stage, counts=answered, latest=0.3, obstacle=busy),
            ]
        case "fetch":
            aims = [
                Aim(stage=stage, counts=asked),
                Aim(stage=stage, counts=asked, latest=0.3, obstacle=slow(0.3)),
            ]
        case _:
            aims = [
                Aim(stage=stage, counts=_answered("fetch")),
                Aim(stage=stage, counts=lambda watch: len(watch.kept()), latest=0.01),
                Aim(stage=stage, counts=lambda watch: len(watch.delivered()), latest=0.01),
            ]
    return rng.choice(aims)
