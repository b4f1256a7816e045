"""``remote-upscale run``: upscale files."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

from ..engine import Engine, Job, OnProgress, Outcome
from ..errors import InvalidParameter, Meaning, RemoteUpscaleError, StorageFailed
from ..files.sniff import SUFFIXES
from ..ledger import month_start
from ..models import Model
from ..registry import find_model
from ..settings import Settings
from ..states import JobState
from . import exits
from .batch import Batch
from .interrupts import run_until_stopped
from .naming import Source, expand, is_folder, name_outputs, suffix_note, with_format
from .output import Printer, Result, tell
from .places import name_in_folder


@dataclass(frozen=True)
class _Request:
    """All that was asked for, checked.

    Attributes:
        folder: where the results go as it was written, with the suffix of their names; ``None`` for one file.
        notes: for each input what there is to say about the name of its result; may be empty.
    """

    sources: list[Source]
    jobs: list[Job]
    settings: Settings
    dry: bool
    folder: tuple[str, str] | None
    notes: list[str]


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    printer = Printer(json=arguments.json)
    sources = expand(arguments.inputs)
    try:
        request = _read(arguments, sources)
    except RemoteUpscaleError as error:
        return _refuse(printer, arguments.model, sources, error)
    return run_until_stopped(partial(_run, request, printer))


def _read(arguments: argparse.Namespace, sources: list[Source]) -> _Request:
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
    return _Request(
        sources,
        jobs,
        replace(settings, sandbox=settings.sandbox or arguments.sandbox),
        arguments.dry_run,
        (arguments.output, suffix) if folder else None,
        [""] * len(jobs),
    )


def _parameters(model: Model, words: Sequence[str]) -> dict[str, object]:
    """The parameters from their ``NAME=VALUE`` words, checked alone and together."""
    given: dict[str, object] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
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
        words = f"The folder {folder} cannot be created: {error.strerror}."
        if isinstance(error, (FileExistsError, NotADirectoryError)):
            raise InvalidParameter(words, hint="Choose another one with -o.") from None
        raise StorageFailed(words, hint="Choose another one with -o.", meaning=Meaning.NOT_SENT) from None


def _refuse(printer: Printer, model: str, sources: Sequence[Source], error: RemoteUpscaleError) -> int:
    """These inputs came to nothing: say why, once to people and for every input to programs."""
    if not printer.json:
        tell(str(error))
    else:
        for source in sources:
            printer.result(Result(input=source.text, model=model, error=error))
    return exits.of_error(error)


async def _run(request: _Request, printer: Printer) -> int:
    model = request.jobs[0].model.id
    began = datetime.now(UTC)
    results: list[Result] = []
    try:
        async with Engine.open(request.settings) as engine:
            request = await _keep_others(engine, request)
            if not request.dry:
                for job in request.jobs:
                    engine.check_ready(job)
            batch = Batch(
                blank=[Result(input=source.text, model=model) for source in request.sources],
                work=partial(_estimate if request.dry else _upscale, engine, request),
                request_ids=partial(_cancelled_ids, engine, request, began),
                printer=printer,
                results=results,
            )
            await run_or_tell(batch, engine)
    except RemoteUpscaleError as error:  # the engine could not start, is not set up, or could not be closed
        if len(results) < len(request.sources):
            return _refuse(printer, model, request.sources[len(results) :], error)
        tell(str(error))  # what came of the inputs has been told
    return exits.of_inputs([result.error for result in results])


async def _keep_others(engine: Engine, request: _Request) -> _Request:
    """The same, with other names for results that would replace files which are not theirs."""
    if request.folder is None:
        return request
    outputs, notes = await name_in_folder(engine, request.sources, *request.folder)
    jobs = [
        replace(job, destination=output.absolute()) for job, output in zip(request.jobs, outputs, strict=True)
    ]
    return replace(request, jobs=jobs, notes=notes)


async def _upscale(engine: Engine, request: _Request, index: int, on_progress: OnProgress) -> Result:
    job, source = request.jobs[index], request.sources[index]
    if source.error is not None:
        raise source.error
    result = completed(source.text, await engine.run(job, on_progress))
    return replace(result, notes=(*result.notes, *filter(None, [request.notes[index]])))


def completed(text: str, outcome: Outcome) -> Result:
    """The result of a job that was done."""
    mismatch = suffix_note(outcome.path, outcome.format)
    return Result(
        input=text,
        output=str(outcome.path),
        model=outcome.model.id,
        request_id=outcome.request_id,
        reused=outcome.reused,
        sandbox=outcome.sandbox,
        cost=outcome.cost,
        seconds=outcome.seconds,
        notes=(*outcome.notes, mismatch) if mismatch else outcome.notes,
    )


async def _estimate(engine: Engine, request: _Request, index: int, _on_progress: OnProgress) -> Result:
    job, source = request.jobs[index], request.sources[index]
    if source.error is not None:
        raise source.error
    estimate = await engine.estimate(job)
    file_format = job.model.output_format(estimate.values)
    mismatch = suffix_note(job.destination, file_format, "will be") if job.destination else None
    refused = await _budget_note(engine, job.model, estimate.cost)
    return Result(
        input=source.text,
        output=str(job.destination),
        model=job.model.id,
        cost=estimate.cost,
        notes=(*estimate.notes, *filter(None, [request.notes[index], mismatch, refused])),
        planned=estimate.expected.size if estimate.expected else (None, None),
    )


async def _budget_note(engine: Engine, model: Model, cost: Decimal | None) -> str | None:
    """A sentence for when this month's budget would refuse a job of this cost."""
    settings, ledger = engine.settings, engine.ledger
    if settings.budget is None or settings.sandbox or (cost is None and model.id in settings.unpriced):
        return None
    if cost is None:
        return "The budget would refuse this job, as its price is not known."
    spent = await ledger.call(ledger.sync.spent, month_start())
    if spent + cost <= settings.budget:
        return None
    return (
        f"This month's budget of ${settings.budget:f} would refuse this job: ${spent:f} is spent or reserved."
    )


async def _cancelled_ids(engine: Engine, request: _Request, began: datetime) -> Mapping[int, str]:
    """The ids of this run's jobs that were stopped after the provider had taken them."""
    ledger = engine.ledger
    states = [JobState.SUBMITTED, JobState.STORED, JobState.CANCELLED]
    rows = await ledger.call(ledger.sync.jobs, states=states, since=began)
    ids = {row.destination: row.request_id for row in rows if row.request_id}
    places = enumerate(str(job.destination) for job in request.jobs)
    return {index: ids[place] for index, place in places if place in ids}


async def run_or_tell(batch: Batch, engine: Engine) -> None:
    """Run the batch; stopped, say what is still at the providers."""
    try:
        await batch.run()
    except asyncio.CancelledError:
        await _tell_resumable(engine)
        raise


async def _tell_resumable(engine: Engine) -> None:
    """Say what is paid for and not here. An embedded sandbox takes its jobs with it."""
    if engine.settings.sandbox:
        return
    ledger, count = engine.ledger, 0
    with suppress(RemoteUpscaleError):  # without the ledger nobody knows; what was recorded is there later
        rows = await ledger.call(ledger.sync.resumable, sandbox=False)
        count = sum(row.state is not JobState.CANCELLED for row in rows)
    if count:
        jobs = "1 job is" if count == 1 else f"{count} jobs are"
        tell(f"{jobs} still at a provider; `remote-upscale resume` fetches the results.")
