"""``remote-upscale fetch``: bring the result of a job that was ordered elsewhere."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from ..engine import Engine, OnProgress
from ..environment import expand_own
from ..errors import RemoteUpscaleError
from ..models import Model
from ..registry import find_model
from ..settings import Settings
from . import exits
from .batch import Batch
from .interrupts import run_until_stopped
from .naming import name_fetched
from .output import Printer, Result, tell
from .run import completed, run_or_tell


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    printer = Printer(json=arguments.json)
    blank = Result(
        input=arguments.request_id, model=arguments.model, request_id=arguments.request_id, reused=True
    )
    try:
        model, settings = find_model(arguments.model), Settings.load()
        expand_own(arguments.output)  # a name that cannot be one is refused before anything is asked
    except RemoteUpscaleError as error:
        return _refuse(printer, blank, error)
    return run_until_stopped(partial(_fetch_one, model, arguments.output, settings, blank, printer))


async def _fetch_one(model: Model, target: str, settings: Settings, blank: Result, printer: Printer) -> int:
    results: list[Result] = []
    try:
        async with Engine.open(settings) as engine:
            batch = Batch(
                blank=[blank],
                work=partial(_fetch, engine, model, target, blank),
                request_ids=partial(_ids, blank),
                printer=printer,
                results=results,
            )
            await run_or_tell(batch, engine)
    except RemoteUpscaleError as error:
        if not results:
            return _refuse(printer, blank, error)
        tell(str(error))  # what came of the job has been told
    error = results[0].error
    return exits.DONE if error is None else exits.of_error(error)


async def _fetch(
    engine: Engine, model: Model, target: str, blank: Result, _index: int, on_progress: OnProgress
) -> Result:
    fetched = await engine.fetch(model, blank.input, on_progress)
    place = await asyncio.to_thread(name_fetched, blank.input, target, fetched.format)
    outcome = await engine.deliver(fetched, place.absolute())
    return replace(completed(blank.input, outcome), reused=True, ordered="elsewhere")


async def _ids(blank: Result) -> Mapping[int, str]:
    return {0: blank.input}


def _refuse(printer: Printer, blank: Result, error: RemoteUpscaleError) -> int:
    if printer.json:
        printer.result(replace(blank, error=error))
    else:
        tell(str(error))
    return exits.of_error(error)
