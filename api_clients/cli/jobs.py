"""``remote-upscale jobs``: the ledger's jobs, and the sandbox's, listed, exported and pruned."""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from ..errors import RemoteUpscaleError
from ..ledger import JobRow, Ledger
from ..registry import find_model
from ..roots import Roots
from ..settings import Settings
from ..states import JobState
from ..text import clean
from . import exits
from .output import Printer, dollars, in_words, table, tell

KEPT_DAYS = 90
"""How long finished jobs stay in the ledger when it is pruned."""

_CSV = ("created", "model", "state", "cost_usd", "request_id", "input", "output", "id")


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    printer = Printer(json=arguments.json)
    try:
        if arguments.model is not None:
            find_model(arguments.model)
        places = _places(Settings.load(needs_keys=False))
        if arguments.prune:
            _prune(places, printer)
        elif arguments.csv is not None:
            _export(places, arguments, printer)
        else:
            _list(places, arguments, printer)
    except RemoteUpscaleError as error:
        tell(str(error))
        return exits.of_error(error)
    return exits.DONE


def _places(settings: Settings) -> list[Settings]:
    """The settings of each ledger: in the sandbox only its own, else both, if the sandbox was ever used."""
    inside = settings.in_sandbox(Roots())
    if settings.sandbox:
        return [inside]
    return [settings, inside] if Path(inside.ledger_place).exists() else [settings]


def _rows(
    places: Sequence[Settings],
    arguments: argparse.Namespace,
    since: datetime | None,
    until: datetime | None = None,
) -> list[JobRow]:
    """The chosen jobs of all ledgers, newest first."""
    states = [JobState(state) for state in arguments.state] or None
    rows: list[JobRow] = []
    for settings in places:
        ledger = Ledger(settings.ledger_place)
        try:
            rows += ledger.jobs(states=states, model=arguments.model, since=since, until=until)
        finally:
            ledger.close()
    return sorted(rows, key=lambda row: row.created, reverse=True) if len(places) > 1 else rows


def _list(places: Sequence[Settings], arguments: argparse.Namespace, printer: Printer) -> None:
    rows = _rows(places, arguments, arguments.since)
    if printer.json:
        for row in rows:
            printer.document(_document(row))
        return
    nothing = "There are no such jobs." if _chosen(arguments) else "There are no jobs yet."
    for line in _table(rows) if rows else [nothing]:
        printer.line(line)


def _chosen(arguments: argparse.Namespace) -> bool:
    return bool(arguments.state or arguments.model or arguments.since)


def _export(places: Sequence[Settings], arguments: argparse.Namespace, printer: Printer) -> None:
    """A month's spending, oldest first, without what certainly cost nothing, as all of the sandbox did."""
    start: datetime = arguments.csv
    end = (start + timedelta(days=31)).replace(day=1)
    printer.line(_csv_line(_CSV))
    for row in reversed(_rows(places, arguments, start, end)):
        if row.may_cost and not row.sandbox:
            cost = "" if row.cost is None else f"{row.cost:f}"
            made = row.created.strftime("%Y-%m-%dT%H:%M:%SZ")
            output = row.result_path or row.destination or ""
            cells = (made, row.model, row.state.value, cost, row.request_id or "", row.source, output, row.id)
            printer.line(_csv_line(cells))


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([_harmless(cell) for cell in cells])
    return line.getvalue()


def _harmless(cell: str) -> str:
    """A file name that begins like a formula would be run by a spreadsheet."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _prune(places: Sequence[Settings], printer: Printer) -> None:
    before = datetime.now(UTC) - timedelta(days=KEPT_DAYS)
    removed = asyncio.run(_prune_all(places, before))
    jobs, files, size = (sum(counts) for counts in zip(*removed, strict=True))
    if printer.json:
        printer.document({"jobs": jobs, "results": files, "bytes": size})
    else:
        printer.line(
            f"Removed {jobs} finished jobs older than {KEPT_DAYS} days, and {files} stored results that no "
            f"job needs ({size / 1e6:.1f} MB)."
        )


async def _prune_all(places: Sequence[Settings], before: datetime) -> list[tuple[int, int, int]]:
    """For each ledger how many jobs, results and bytes were removed."""
    # Listing jobs needs none of this.
    from ..ledger.threaded import AsyncLedger  # noqa: PLC0415
    from ..results import open_results  # noqa: PLC0415
    from ..results.cache import ResultCache  # noqa: PLC0415

    removed: list[tuple[int, int, int]] = []
    for settings in places:
        ledger = AsyncLedger(Ledger(settings.ledger_place))
        try:
            jobs = await ledger.call(ledger.sync.purge, before)
            await ledger.call(ledger.sync.stored.forget_contents, before)
            cache = ResultCache(open_results(settings), ledger, settings.size.store_bytes)
            collected = await cache.collect()
        finally:
            await ledger.close()
        removed.append((jobs, collected.files, collected.bytes))
    return removed


def _cost(row: JobRow) -> Decimal | None:
    return row.cost if row.may_cost else Decimal(0)


def _table(rows: list[JobRow]) -> list[str]:
    lines = [("CREATED", "STATE", "MODEL", "REQUEST ID", "COST", "INPUT → OUTPUT")]
    for row in rows:
        state = f"{row.state} (sandbox)" if row.sandbox else row.state.value
        way = f"{clean(row.source)} → {clean(row.result_path or row.destination or '-')}"
        made = row.created.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        lines.append((made, state, row.model, row.request_id or "-", in_words(_cost(row)), way))
    return table(lines)


def _document(row: JobRow) -> dict[str, object]:
    return {
        "id": row.id,
        "state": row.state.value,
        "model": row.model,
        "request_id": row.request_id,
        "cost_usd": dollars(_cost(row)),
        "input": row.source,
        "output": row.result_path,
        "destination": row.destination,
        "parameters": row.parameters,
        "content": row.digest,
        "result": row.result_sha256,
        "sandbox": row.sandbox,
        "process": row.owner,
        "created": _time(row.created),
        "sent": _time(row.sent),
        "submitted": _time(row.submitted),
        "stored": _time(row.stored),
        "finished": _time(row.finished),
        "error": row.error_kind and {"kind": row.error_kind, "message": row.error_message},
        "note": row.note,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
