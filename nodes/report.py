"""What a node did, as JSON for whoever logs it in a graph."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from ..api_clients.engine import Outcome
from ..api_clients.errors import RemoteUpscaleError
from ..api_clients.models import Model


@dataclass(frozen=True)
class Entry:
    """What became of one picture or clip.

    Attributes:
        outcome: the finished job; ``None`` where it failed.
        error: why it failed.
        notes: what was adapted, in sentences, besides what the outcome says.
    """

    outcome: Outcome | None = None
    error: RemoteUpscaleError | None = None
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """For JSON; the names are those of the command line's output."""
        if self.outcome is None:
            assert self.error is not None
            return {
                "state": "failed",
                "request_id": self.error.request_id,
                "error": {
                    "kind": self.error.kind,
                    "message": self.error.message,
                    "hint": self.error.hint,
                },
                "notes": list(self.notes),
            }
        made = self.outcome
        return {
            "state": "completed",
            "request_id": made.request_id,
            "cost_usd": _number(made.cost),
            "seconds": round(made.seconds, 3),
            "reused": made.reused,
            "sandbox": made.sandbox,
            "width": made.width,
            "height": made.height,
            "notes": [*made.notes, *self.notes],
        }


def spent(entries: Sequence[Entry]) -> Decimal | None:
    """US dollars of the new jobs together; ``None`` where a price, or what a failed one costs, is unknown."""
    if any(entry.error is not None and entry.error.request_id for entry in entries):
        return None
    costs = [entry.outcome.cost for entry in entries if entry.outcome and not entry.outcome.reused]
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if len(known) == len(costs) else None


def as_json(model: Model, entries: Sequence[Entry], seconds: float) -> str:
    """The report on a node's work."""
    report = {
        "model": model.id,
        "cost_usd": _number(spent(entries)),
        "seconds": round(seconds, 3),
        "jobs": [entry.as_dict() for entry in entries],
    }
    return json.dumps(report, ensure_ascii=False, indent=2)


def _number(cost: Decimal | None) -> float | None:
    return None if cost is None else float(cost)
