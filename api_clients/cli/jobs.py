"""``remote-upscale jobs``: every job of the ledger."""

from __future__ import annotations

import argparse
from datetime import datetime
from decimal import Decimal

from ..errors import RemoteUpscaleError
from ..ledger import JobRow, Ledger
from ..settings import Settings
from ..text import clean
from . import exits
from .output import Printer, dollars, in_words, table, tell


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    printer = Printer(json=arguments.json)
    try:
        ledger = Ledger.open(Settings.load().home / "ledger.sqlite")
        try:
            rows = ledger.jobs()
        finally:
            ledger.close()
    except RemoteUpscaleError as error:
        tell(str(error))
        return exits.before_sending(error)
    if arguments.json:
        for row in rows:
            printer.document(_document(row))
    else:
        for line in _table(rows) if rows else ["There are no jobs yet."]:
            printer.line(line)
    return exits.DONE


def _cost(row: JobRow) -> Decimal | None:
    return row.cost if row.may_cost else Decimal(0)


def _table(rows: list[JobRow]) -> list[str]:
    lines = [("MADE", "STATE", "MODEL", "REQUEST ID", "COST", "INPUT → OUTPUT")]
    for row in rows:
        state = f"{row.state} (sandbox)" if row.sandbox else row.state.value
        way = f"{clean(row.source)} → {clean(row.result_path or row.destination)}"
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
        "sandbox": row.sandbox,
        "created": _time(row.created),
        "submitted": _time(row.submitted),
        "finished": _time(row.finished),
        "error": row.error_kind and {"kind": row.error_kind, "message": row.error_message},
        "note": row.note,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
