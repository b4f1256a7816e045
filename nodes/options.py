"""How a node's jobs are run, besides the model's own parameters."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from ..api_clients.models import Model


class OnFailure(StrEnum):
    """What becomes of a batch when one of its pictures fails."""

    STOP = "stop"
    KEEP_SOURCE = "keep source"
    """The source takes its place, scaled by Lanczos, and the report says so."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Run options.

    Attributes:
        account: name of the credentials; empty for those of the environment, or of the account ``default``.
        time_limit: seconds that the run of a job may take; ``None`` for as many as the settings allow.
        reuse: take earlier results of the same picture and parameters, and join running jobs.
        order_unanswered: order anew what was sent before and never answered, although both may be charged.
        on_failure: what becomes of a batch when one of its pictures fails.
        private: ask for results inside the reply, which the provider does not keep, where offered.
        max_cost: US dollars that all jobs of the node together may cost; ``None`` for any.
    """

    account: str = ""
    time_limit: float | None = None
    reuse: bool = True
    order_unanswered: bool = False
    on_failure: OnFailure = OnFailure.STOP
    private: bool = False
    max_cost: Decimal | None = None

    def unmet(self, model: Model) -> tuple[str, ...]:
        """What was asked for and a model does not offer, as sentences for the report."""
        if self.private and not offers_privacy(model):
            return (f"private had no effect: {model.title} returns its results only as links.",)
        return ()


def offers_privacy(model: Model) -> bool:
    """Whether a model can send its result inside the reply."""
    return any(parameter.name == "sync_mode" for parameter in model.parameters)
