"""What a job came to, from what was fetched or from the ledger."""

from __future__ import annotations

from decimal import Decimal

from ..files.probe import ImageInfo
from ..ledger import JobRow
from .fetching import Fetched
from .job import Outcome
from .order import Errand
from .work import Work


def fetched_outcome(
    errand: Errand,
    work: Work,
    fetched: Fetched,
    *,
    request_id: str | None,
    cost: Decimal | None,
    reused: bool = False,
    had_alpha: bool = False,
) -> Outcome:
    """The outcome of a job whose result was fetched just now."""
    size = (fetched.info.width, fetched.info.height)
    expected = work.wanted.expected
    notes = [*work.notes]
    if had_alpha and isinstance(fetched.info, ImageInfo) and not fetched.info.alpha:
        notes.append("The input has alpha, the result has none.")
    if expected is not None and expected.exact and expected.size != size:
        notes.append(
            f"The result is {size[0]}×{size[1]}; {expected.width}×{expected.height} was to be expected."
        )
    return Outcome(
        job=errand.job,
        path=work.wanted.destination,
        request_id=request_id,
        cost=cost,
        seconds=work.tracker.elapsed,
        reused=reused,
        sandbox=work.channel.settings.sandbox,
        width=size[0],
        height=size[1],
        notes=tuple(notes),
    )


def stored_outcome(errand: Errand, row: JobRow) -> Outcome:
    """The outcome of a job whose result was there already."""
    return Outcome(
        job=errand.job,
        path=errand.wanted.destination,
        request_id=row.request_id,
        cost=Decimal(0),
        seconds=errand.tracker.elapsed,
        reused=True,
        sandbox=row.sandbox,
        width=row.width or 0,
        height=row.height or 0,
    )
