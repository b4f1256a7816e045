"""``remote-upscale jobs``: the ledger, listed, exported and tidied up."""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ..engine.vault import Vault
from ..errors import RemoteUpscaleError
from ..ledger import JobRow, Ledger
from ..registry import find_model
from ..results import open_results
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
        settings = Settings.load()
        ledger = Ledger(settings.ledger_place)
        try:
            if arguments.prune:
                _prune(ledger, settings, printer)
            elif arguments.csv is not None:
                _export(ledger, arguments, printer)
            else:
                _list(ledger, arguments, printer)
        finally:
            ledger.close()
    except RemoteUpscaleError as error:
        tell(str(error))
        return exits.before_sending(error)
    return exits.DONE


def _list(ledger: Ledger, arguments: argparse.Namespace, printer: Printer) -> None:
    states = [JobState(state) for state in arguments.state] or None
    rows = ledger.jobs(states=states, model=arguments.model, since=arguments.since)
    if printer.json:
        for row in rows:
            printer.document(_document(row))
        return
    for line in (
        _table(rows)
        if rows
        else ["There are no such jobs." if _chosen(arguments) else "There are no jobs yet."]
    ):
        printer.line(line)


def _chosen(arguments: argparse.Namespace) -> bool:
    return bool(arguments.state or arguments.model or arguments.since)


def _export(ledger: Ledger, arguments: argparse.Namespace, printer: Printer) -> None:
    """A month's spending, oldest first, without what certainly cost nothing."""
    start: datetime = arguments.csv
    end = (start + timedelta(days=31)).replace(day=1)
    states = [JobState(state) for state in arguments.state] or None
    rows = ledger.jobs(states=states, model=arguments.model, since=start, until=end)
    printer.line(_csv_line(_CSV))
    for row in reversed(rows):
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


def _prune(ledger: Ledger, settings: Settings, printer: Printer) -> None:
    before = datetime.now(UTC) - timedelta(days=KEPT_DAYS)
    removed = ledger.purge(before)
    ledger.stored.forget_contents(before)
    results = open_results(settings)
    vault = Vault(results, ledger, settings.size.store_bytes)
    swept = asyncio.run(vault.sweep())
    document = {"jobs": removed, "results": swept.files, "bytes": swept.bytes}
    if printer.json:
        printer.document(document)
    else:
        printer.line(
            f"Removed {removed} finished jobs of more than {KEPT_DAYS} days ago, and {swept.files} stored "
            f"results that nothing needs ({swept.bytes / 1e6:.1f} MB)."
        )


def _cost(row: JobRow) -> Decimal | None:
    return row.cost if row.may_cost else Decimal(0)


def _table(rows: list[JobRow]) -> list[str]:
    lines = [("MADE", "STATE", "MODEL", "REQUEST ID", "COST", "INPUT → OUTPUT")]
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
