"""A batch of pictures through an upscaler: each is a job of its own, and all are in flight at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import torch

from ..api_clients.engine import Job, OnProgress, Outcome, Progress, SpendLimit, Stage
from ..api_clients.errors import InvalidInput, Kind, RemoteUpscaleError
from ..api_clients.files.atomic_write import cannot_write
from ..api_clients.files.pixel_digest import pixels_digest
from ..api_clients.models import Model
from .media.alpha import join_alpha, split_alpha
from .media.batches import ResultBatch
from .media.decode import decode_image
from .media.enlarge import enlarge_into
from .media.quantize import to_uint8
from .media.upload import encode_for_upload, encoded_at_once
from .options import OnFailure, RunOptions
from .progress import NodeProgress, ended
from .report import Entry, as_json
from .runtime import Runtime, remove_temporary
from .working_folder import WorkingFolder

_SAME_FOR_ALL = frozenset(
    {
        Kind.INVALID_PARAMETER,
        Kind.AUTHENTICATION,
        Kind.INSUFFICIENT_BALANCE,
        Kind.FORBIDDEN,
        Kind.NOT_FOUND,
        Kind.HOSTING,
        Kind.STORAGE,
    }
)
"""Errors that all pictures of a batch have alike: a source in place of the result would only hide them."""
_MOST_PIXELS = 1 << 40
"""The engine has checked the result's size against the settings already."""
_AHEAD = 2
"""Pictures that are encoded before the upload asks for them, besides those that are just being encoded."""
_DECODED_AT_ONCE = 2
"""Results; more would only take memory, as each is decoded by several threads."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What an image node was given.

    Attributes:
        model: the upscaler.
        images: [B,H,W,C] of 0..1, C = 3 or 4.
        parameters: of the model, as the user set them.
        options: how the jobs are run.
        folder: an empty one for the files on their way.
    """

    model: Model
    images: torch.Tensor
    parameters: Mapping[str, object]
    options: RunOptions
    folder: WorkingFolder

    @cached_property
    def job(self) -> Job:
        """What the jobs of all pictures have in common, what they may cost together included."""
        options = self.options
        return Job(
            model=self.model,
            parameters=self.parameters,
            source=self.folder.path,
            reuse=options.reuse,
            order_unanswered=options.order_unanswered,
            time_limit=options.time_limit,
            spend_limit=SpendLimit.of(options.max_cost),
        )


@dataclass(frozen=True)
class Upscaled:
    """What an image node gives.

    Attributes:
        images: [B,H',W',C] with the channels of the source.
        report: JSON.
        words: what was done, for the node.
    """

    images: torch.Tensor
    report: str
    words: str


async def upscale_images(batch: Batch, runtime: Runtime, progress: NodeProgress) -> Upscaled:
    """Send pictures to an upscaler and put its results together.

    Besides the sources and the results, memory holds the few pictures that are just encoded or decoded.

    Args:
        batch: the pictures and what to do.
        runtime: runs the jobs.
        progress: is told of all jobs, of as many as there are pictures.

    Raises:
        RemoteUpscaleError: a picture failed, and is not to be replaced; the jobs of the others are cancelled.
    """
    began = time.monotonic()
    _check(batch.images)
    batch.model.check(batch.parameters)  # refuses what is wrong before any work is done
    results = ResultBatch(len(batch.images), channels=batch.images.shape[3])
    gates = _Gates.of(batch.images)
    jobs = [_ImageJob(batch, runtime, progress, gates, results, n) for n in range(len(batch.images))]
    tasks = [asyncio.create_task(job.upscale()) for job in jobs]
    try:
        entries = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    kept = [number for number, entry in enumerate(entries) if entry.outcome is None]
    images = await asyncio.to_thread(_completed, results, batch.images, kept)
    seconds = time.monotonic() - began
    return Upscaled(images, as_json(batch.model, entries, seconds), ended(entries, seconds))


def _check(images: torch.Tensor) -> None:
    if images.ndim != 4 or images.shape[3] not in {3, 4}:
        raise InvalidInput(
            f"The pictures have the shape {list(images.shape)} instead of [batch, height, width, 3 or 4].",
            hint="Connect an IMAGE.",
        )
    if not len(images):
        raise InvalidInput("The batch of pictures is empty.", hint="Connect at least one picture.")


@dataclass(frozen=True)
class _Gates:
    """How many pictures of a batch are worked on here at a time; all jobs are in flight at once all the same.

    Attributes:
        encoding: pictures that are encoded at a time.
        threads: for encoding one of them; ``None`` for one a core.
        unhosted: pictures that are encoded, or about to be, and not yet where the provider fetches them.
        decoding: results that are decoded at a time.
        begun: digests of the pictures whose jobs have begun; equal ones wait for those, and are not hosted.
    """

    encoding: asyncio.Semaphore
    threads: int | None
    unhosted: asyncio.Semaphore
    decoding: asyncio.Semaphore
    begun: set[str] = field(default_factory=set[str])

    @classmethod
    def of(cls, images: torch.Tensor) -> _Gates:
        """Those for a batch [B,H,W,C]."""
        at_once = encoded_at_once(images[0])
        return cls(
            encoding=asyncio.Semaphore(at_once),
            threads=None if at_once == 1 else 1,
            unhosted=asyncio.Semaphore(at_once + _AHEAD),
            decoding=asyncio.Semaphore(_DECODED_AT_ONCE),
        )


class _Place:
    """A picture's place among those that are not hosted yet, given back once, from any thread."""

    def __init__(self, gate: asyncio.Semaphore) -> None:
        self._gate = gate
        self._loop = asyncio.get_running_loop()
        self._taken = True

    def give_back(self) -> None:
        """Let the next picture in; to be called on the loop."""
        if self._taken:
            self._taken = False
            self._gate.release()

    def listener(self, also: OnProgress) -> OnProgress:
        """What a job reports to: gives the place back when the input is hosted, or need not be."""

        def listen(progress: Progress) -> None:
            also(progress)
            if progress.stage is not Stage.HOSTING:
                with suppress(RuntimeError):  # the prompt has been interrupted, and its loop is closed
                    self._loop.call_soon_threadsafe(self.give_back)

        return listen


@dataclass(frozen=True)
class _Source:
    """A picture as a file.

    Attributes:
        path: of the file.
        content: digest of what it shows, where it shows exactly the picture.
        note: what had to be adapted; empty if nothing.
    """

    path: Path
    content: str | None
    note: str


@dataclass(frozen=True)
class _ImageJob:
    """One picture of a batch on its way."""

    batch: Batch
    runtime: Runtime
    progress: NodeProgress
    gates: _Gates
    results: ResultBatch
    number: int

    async def upscale(self) -> Entry:
        """Bring the result into its row; an entry without an outcome where the source is to be kept."""
        notes = self.batch.options.unmet(self.batch.model)
        try:
            source, outcome = await self._run()
            try:
                async with self.gates.decoding:
                    await asyncio.to_thread(self._decode, source.path, outcome.path)
            finally:
                await asyncio.to_thread(remove_temporary, outcome)
        except RemoteUpscaleError as error:
            if self.batch.options.on_failure is OnFailure.STOP or error.kind in _SAME_FOR_ALL:
                raise self._named(error) from None
            return Entry(error=error, notes=(*notes, "The source was kept, scaled by Lanczos."))
        else:
            return Entry(outcome, notes=(*notes, source.note) if source.note else notes)
        finally:
            self.progress.done(self.number)

    def _named(self, error: RemoteUpscaleError) -> RemoteUpscaleError:
        """An error that says of which picture it is, where there are several."""
        count = len(self.batch.images)
        if count == 1:
            return error
        return error.but(message=f"Picture {self.number + 1} of {count}: {error.message}")

    async def _run(self) -> tuple[_Source, Outcome]:
        """Write the source, and run its job."""
        await self.gates.unhosted.acquire()
        place = _Place(self.gates.unhosted)
        try:
            async with self.gates.encoding:
                source = await self.batch.folder.in_thread(self._encode)
            if source.content in self.gates.begun:
                place.give_back()
            elif source.content is not None:
                self.gates.begun.add(source.content)
            job = replace(self.batch.job, source=source.path, content=source.content)
            listener = place.listener(self.progress.listener(self.number))
            account = self.batch.options.account
            return source, await self.runtime.run(account, job, listener, self.batch.folder)
        finally:
            place.give_back()

    def _encode(self) -> _Source:
        """Write the picture without its alpha as a file. Nothing of it stays in memory."""
        colours, _ = split_alpha(self.batch.images[self.number : self.number + 1])
        encoded = encode_for_upload(colours[0], self.batch.model.limits, threads=self.gates.threads)
        path = self.batch.folder.path / f"{self.number:04}{encoded.suffix}"
        try:
            path.write_bytes(encoded.data)
        except OSError as error:
            raise cannot_write(path, error) from None
        content = None if encoded.format == "jpeg" else pixels_digest(to_uint8(colours[0]))
        return _Source(path, content, encoded.note)

    def _decode(self, sent: Path, result: Path) -> None:
        """Read a result into its row, with the alpha of its source; what was sent is not needed any more."""
        sent.unlink(missing_ok=True)
        source = self.batch.images[self.number]
        alpha = source.shape[2] == 4
        row = partial(self.results.row, self.number)
        image = decode_image(result, alpha=alpha, max_pixels=_MOST_PIXELS, allocate=row)
        if alpha:
            join_alpha(image, source[..., 3])


def _completed(results: ResultBatch, sources: torch.Tensor, kept: list[int]) -> torch.Tensor:
    """The batch with the sources of those pictures that failed."""
    if results.size is None:
        return sources  # nothing came back, so there is no size to scale to
    for number in kept:
        row = results.row(number, *results.size)
        enlarge_into(sources[number], row)
        if sources.shape[3] == 4:
            join_alpha(row, sources[number][..., 3])
    return results.whole()
