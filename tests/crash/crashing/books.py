"""The accounts of a round: what the sandbox charged against what the ledger knows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from remote_upscale.api_clients.sandbox import Job
from remote_upscale.api_clients.sizes import Size

from .pictures import Picture

_MOST_PARTIAL = 2
"""Partial files that dead processes may leave until a later one with the same destination tidies up."""
_MOST_IN_HOME = 12
"""The ledger with its two companions, the record of links, and a few lock files of dead processes."""


def audit(
    pictures: Sequence[Picture],
    jobs: Iterable[Job],
    rows: Sequence[dict[str, Any]],
    decisions: Counter[Path],
    *,
    known: set[str],
) -> Iterator[str]:
    """What is wrong after a round; a sentence for each finding.

    Args:
        pictures: the round's inputs.
        jobs: what the sandbox accepted during the round.
        rows: the whole ledger, as `jobs --json` prints it.
        decisions: how often a person decided to pay again, by input.
        known: the ids of all jobs that the sandbox ever accepted.
    """
    paid: dict[Size | None, list[str]] = {picture.size: [] for picture in pictures}
    for job in jobs:
        size = job.result.size if job.result else None
        if job.charged and size in paid:
            paid[size].append(job.request_id)
        elif job.charged:
            yield f"job {job.request_id} is nobody's"
    for picture in pictures:
        flaw = picture.flaw()
        if flaw:
            yield f"{picture.source.name}: its output {flaw}"
        own = [row for row in rows if row["input"] == str(picture.source)]
        wrongs = _paid(paid[picture.size], own, decisions[picture.source])
        yield from (f"{picture.source.name}: {wrong}" for wrong in wrongs)
    strange = {row["request_id"] for row in rows if row["request_id"]} - known
    if strange:
        yield f"the ledger names jobs that the provider never had: {sorted(strange)}"


def left_over(home: Path, outputs: Path) -> Iterator[str]:
    """What dead processes have left lying about, if it is more than the latest of them can have left."""
    results = home / "results"
    whole = re.compile("[0-9a-f]{64}")
    partial = [path for folder in (home, outputs) for path in folder.rglob("*.part")]
    partial += [path for path in results.rglob("*") if path.is_file() and not whole.fullmatch(path.name)]
    if len(partial) > _MOST_PARTIAL:
        yield f"{len(partial)} partial files pile up, such as {partial[0]}"
    others = [path for path in home.rglob("*") if path.is_file() and results not in path.parents]
    if len(others) > _MOST_IN_HOME:
        yield f"{len(others)} files pile up in the home folder, such as {others[-1]}"


def _paid(ids: list[str], rows: list[dict[str, Any]], decisions: int) -> Iterator[str]:
    """One input's books."""
    states = Counter(row["state"] for row in rows)
    on_record = {row["request_id"] for row in rows if row["request_id"]}
    lost = set(ids) - on_record
    shown = f"(rows: {dict(states)})"
    unknown = states["submission_unknown"]
    if not ids:
        yield f"nothing was paid for it {shown}"
    if len(ids) > 1 + decisions:
        yield f"{len(ids)} jobs were paid, after {decisions} decisions to pay again {shown}"
    if len(lost) > unknown:
        yield f"{len(lost)} paid jobs are in no row, where {unknown} rows may stand for them {shown}"
    if not states["completed"]:
        yield f"no row is completed {shown}"
    for row in rows:
        nothing_sent = row["state"] == "cancelled" and not row["request_id"] and row["cost_usd"] == 0
        if row["state"] not in ("completed", "submission_unknown") and not nothing_sent:
            facts = f"id {row['request_id']}, error {row['error']}, note {row['note']}"
            yield f"a row ends as {row['state']} ({facts})"
