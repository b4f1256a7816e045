"""``remote-upscale resume``: finish every paid job that is not yet on disk."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from ..engine import Engine, OnProgress
from ..errors import Kind, RemoteUpscaleError
from ..ledger import JobRow
from ..settings import Settings
from . import exits
from .carrying import Batch
from .interrupts import run_until_stopped
from .output import Printer, Result, tell
from .run import completed


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    return run_until_stopped(partial(_resume, Printer(json=arguments.json)))


async def _resume(printer: Printer) -> int:
    try:
        settings = Settings.load()
        async with Engine(settings) as engine:
            for row in await engine.look_up():
                tell(
                    f"{row.source}: {row.model} never answered the submit; it may be charged. Look at the "
                    "provider's history, or run it with --no-reuse to order it again."
                )
            rows = engine.ledger.resumable(sandbox=settings.sandbox)
            if not rows and not printer.json:
                printer.line("Nothing is left to resume.")
            batch = Batch(
                blank=[Result(input=row.source, model=row.model, request_id=row.request_id) for row in rows],
                work=partial(_take_up, engine, rows),
                request_ids=partial(_ids, rows),
                printer=printer,
            )
            results = await batch.carry_out()
    except RemoteUpscaleError as error:
        tell(str(error))
        return exits.before_sending(error)
    return _status([result.error for result in results])


async def _take_up(engine: Engine, rows: Sequence[JobRow], index: int, on_progress: OnProgress) -> Result:
    outcome = await engine.resume(rows[index], on_progress)
    return replace(
        completed(rows[index].source, outcome), reused=True, resumed=True
    )  # no new job was submitted


def _ids(rows: Sequence[JobRow]) -> Mapping[int, str]:
    return {index: row.request_id for index, row in enumerate(rows) if row.request_id}


def _status(errors: Sequence[RemoteUpscaleError | None]) -> int:
    """As for all commands; without any key nothing could even be asked."""
    kinds = {error and error.kind for error in errors}
    return exits.NOT_SET_UP if kinds == {Kind.AUTHENTICATION} else exits.after_all(errors)
