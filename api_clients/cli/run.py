"""``remote-upscale run``: upscale files."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ..engine import Engine, Job, OnProgress, Outcome
from ..errors import InvalidParameter, RemoteUpscaleError
from ..files.sniff import SUFFIXES
from ..ledger import JobState
from ..models import Model
from ..registry import find_model
from ..settings import Settings
from . import exits
from .carrying import Batch
from .interrupts import run_until_stopped
from .naming import Source, expand, is_folder, name_outputs, suffix_note, with_format
from .output import Printer, Result, tell


@dataclass(frozen=True)
class _Order:
    """All that was asked for, checked."""

    sources: list[Source]
    jobs: list[Job]
    settings: Settings
    dry: bool


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    printer = Printer(json=arguments.json)
    sources = expand(arguments.inputs)
    try:
        order = _read(arguments, sources)
    except RemoteUpscaleError as error:
        return _refuse(printer, arguments.model, sources, error)
    return run_until_stopped(partial(_run, order, printer))


def _read(arguments: argparse.Namespace, sources: list[Source]) -> _Order:
    model = find_model(arguments.model)
    parameters = _parameters(model, arguments.parameters)
    folder = is_folder(arguments.output, len(sources))
    if not folder:
        parameters = with_format(model, parameters, arguments.output)
    suffix = SUFFIXES[model.output_format(model.check(parameters).values)]
    outputs = name_outputs(sources, arguments.output, suffix)
    settings = Settings.load()
    jobs = [
        Job(
            model=model,
            parameters=parameters,
            source=source.where,
            destination=output.absolute(),
            reuse=not arguments.no_reuse,
        )
        for source, output in zip(sources, outputs, strict=True)
    ]
    if not arguments.dry_run:
        _make_folder(outputs[0].parent)
    return _Order(
        sources, jobs, replace(settings, sandbox=settings.sandbox or arguments.sandbox), arguments.dry_run
    )


def _parameters(model: Model, words: Sequence[str]) -> dict[str, object]:
    """The parameters from their ``NAME=VALUE`` words, checked alone and together."""
    given: dict[str, object] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise InvalidParameter(f"{word} is not a parameter.", hint="Write it as NAME=VALUE.")
        if name in given:
            raise InvalidParameter(f"{name} is given twice.", hint="Give it once.")
        given[name] = model.parameter(name).parse(value)
    model.check(given)
    return given


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidParameter(
            f"The folder {folder} cannot be made: {error.strerror}.", hint="Choose another one with -o."
        ) from None


def _refuse(printer: Printer, model: str, sources: Sequence[Source], error: RemoteUpscaleError) -> int:
    """Nothing was sent: say so once to people, and for every input to programs."""
    if not printer.json:
        tell(str(error))
    else:
        for source in sources:
            printer.result(Result(input=source.text, model=model, error=error))
    return exits.before_sending(error)


async def _run(order: _Order, printer: Printer) -> int:
    model = order.jobs[0].model.id
    began = datetime.now(UTC)
    try:
        async with Engine(order.settings) as engine:
            if not order.dry:
                for job in order.jobs:
                    engine.ready(job)
            batch = Batch(
                blank=[Result(input=source.text, model=model) for source in order.sources],
                work=partial(_plan if order.dry else _upscale, engine, order),
                request_ids=partial(_cancelled_ids, engine, order, began),
                printer=printer,
            )
            try:
                results = await batch.carry_out()
            except asyncio.CancelledError:
                _tell_resumable(engine)
                raise
    except RemoteUpscaleError as error:  # the engine could not start, or is not set up
        return _refuse(printer, model, order.sources, error)
    return exits.after_all(result.error for result in results)


async def _upscale(engine: Engine, order: _Order, index: int, on_progress: OnProgress) -> Result:
    job, source = order.jobs[index], order.sources[index]
    if source.error is not None:
        raise source.error
    outcome = await engine.run(job, on_progress)
    return completed(source.text, outcome)


def completed(text: str, outcome: Outcome) -> Result:
    """The result of a job that was done."""
    mismatch = suffix_note(outcome.path)
    return Result(
        input=text,
        output=str(outcome.path),
        model=outcome.job.model.id,
        request_id=outcome.request_id,
        reused=outcome.reused,
        sandbox=outcome.sandbox,
        cost=outcome.cost,
        seconds=outcome.seconds,
        notes=(*outcome.notes, mismatch) if mismatch else outcome.notes,
    )


async def _plan(engine: Engine, order: _Order, index: int, _on_progress: OnProgress) -> Result:
    job, source = order.jobs[index], order.sources[index]
    if source.error is not None:
        raise source.error
    plan = await engine.plan(job)
    return Result(
        input=source.text,
        output=str(job.destination),
        model=job.model.id,
        cost=plan.cost,
        planned=plan.expected.size if plan.expected else (None, None),
    )


def _cancelled_ids(engine: Engine, order: _Order, began: datetime) -> Mapping[int, str]:
    """The ids of this run's jobs that were stopped after the provider had taken them."""
    rows = engine.ledger.jobs(states=[JobState.SUBMITTED, JobState.CANCELLED])
    ids = {row.destination: row.request_id for row in rows if row.created >= began and row.request_id}
    places = enumerate(str(job.destination) for job in order.jobs)
    return {index: ids[place] for index, place in places if place in ids}


def _tell_resumable(engine: Engine) -> None:
    """Say what is paid for and not here. An embedded sandbox takes its jobs with it."""
    if engine.settings.sandbox:
        return
    count = len(engine.ledger.resumable(sandbox=False))
    if count:
        jobs = "1 job is" if count == 1 else f"{count} jobs are"
        tell(f"{jobs} at a provider without a result here; `remote-upscale resume` fetches what gets done.")
