"""What a job came to, from what was fetched or from the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from ..files.sniff import format_of_file
from ..ledger import JobRow
from ..models import Model
from .delivery import Delivered
from .job import Outcome, ResultSpec


def fetched_outcome(
    delivered: Delivered,
    model: Model,
    spec: ResultSpec,
    *,
    request_id: str | None,
    cost: Decimal | None,
    seconds: float,
    reused: bool,
    sandbox: bool,
    notes: Iterable[str],
) -> Outcome:
    """The outcome of a job whose result was fetched just now; it says what differs from what was expected."""
    info, expected = delivered.info, spec.expected
    said = [*notes]
    if expected is not None and expected.exact and expected.size != info.size:
        said.append(
            f"The result is {info.width}×{info.height}; {expected.width}×{expected.height} was expected."
        )
    return Outcome(
        model=model,
        path=delivered.path,
        temporary=delivered.temporary,
        format=info.format,
        request_id=request_id,
        cost=cost,
        seconds=seconds,
        reused=reused,
        sandbox=sandbox,
        width=info.width,
        height=info.height,
        notes=tuple(said),
    )


def restored_outcome(
    row: JobRow, model: Model, path: Path, *, temporary: bool, seconds: float, notes: Iterable[str]
) -> Outcome:
    """The outcome of a job whose result was there already. Blocking, for a look at the file's first bytes."""
    return Outcome(
        model=model,
        path=path,
        temporary=temporary,
        format=format_of_file(path),
        request_id=row.request_id,
        cost=Decimal(0),
        seconds=seconds,
        reused=True,
        sandbox=row.sandbox,
        width=row.width or 0,
        height=row.height or 0,
        notes=tuple(notes),
    )
