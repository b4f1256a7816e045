"""``remote-upscale resume``: finish every paid job that is not yet on disk."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from ..engine import Engine, OnProgress
from ..errors import RemoteUpscaleError
from ..ledger import JobRow
from ..settings import Settings
from . import exits
from .batch import Batch
from .interrupts import run_until_stopped
from .output import Printer, Result, tell
from .run import completed


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    return run_until_stopped(partial(_resume_all, Printer(json=arguments.json)))


async def _resume_all(printer: Printer) -> int:
    try:
        async with Engine.open(Settings.load()) as engine:
            for row in await engine.reconcile():
                tell(
                    f"{row.source}: nobody knows whether {row.model} accepted this job; it may be charged. "
                    "Look at the provider's history, or run it with --no-reuse to order it again."
                )
            ledger = engine.ledger
            rows = await ledger.call(ledger.sync.resumable, sandbox=engine.settings.sandbox)
            if not rows and not printer.json:
                printer.line("There is nothing to resume.")
            batch = Batch(
                blank=[Result(input=row.source, model=row.model, request_id=row.request_id) for row in rows],
                work=partial(_resume, engine, rows),
                request_ids=partial(_ids, rows),
                printer=printer,
            )
            results = await batch.run()
    except RemoteUpscaleError as error:
        tell(str(error))
        return exits.of_error(error)
    return _status([result.error for result in results])


async def _resume(engine: Engine, rows: Sequence[JobRow], index: int, on_progress: OnProgress) -> Result:
    outcome = await engine.resume(rows[index], on_progress)
    return replace(completed(rows[index].source, outcome), reused=True, ordered="by an earlier run")


async def _ids(rows: Sequence[JobRow]) -> Mapping[int, str]:
    return {index: row.request_id for index, row in enumerate(rows) if row.request_id}


def _status(errors: Sequence[RemoteUpscaleError | None]) -> int:
    """As for all commands; without any key nothing could even be asked."""
    statuses = {exits.DONE if error is None else exits.of_error(error) for error in errors}
    return exits.NOT_SET_UP if statuses == {exits.NOT_SET_UP} else exits.of_inputs(errors)
