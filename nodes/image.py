"""A batch of pictures through an upscaler: each is a job of its own, and all are in flight at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import torch

from ..api_clients.engine import Allowance, Job, Outcome
from ..api_clients.errors import InvalidInput, Kind, RemoteUpscaleError
from ..api_clients.files.atomic_write import cannot_write
from ..api_clients.files.pixel_digest import pixels_digest
from ..api_clients.models import Model
from .media.alpha import join_alpha, split_alpha
from .media.batches import stack_results
from .media.decode import decode_picture
from .media.enlarge import enlarged
from .media.quantize import to_uint8
from .media.upload import Encoded, encode_batch
from .options import OnFailure, RunOptions
from .progress import Board, ended
from .report import Entry, as_json
from .runtime import Runtime

_Item = TypeVar("_Item")
_OF_NO_PICTURE = frozenset(
    {
        Kind.INVALID_PARAMETER,
        Kind.AUTHENTICATION,
        Kind.INSUFFICIENT_BALANCE,
        Kind.FORBIDDEN,
        Kind.NOT_FOUND,
        Kind.HOSTING,
    }
)
"""Errors that all pictures of a batch have alike: a source in place of the result would only hide them."""
_MOST_PIXELS = 1 << 40
"""The engine has checked the result's size against the settings already."""


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
    folder: Path

    @cached_property
    def job(self) -> Job:
        """What the jobs of all pictures have in common, what they may cost together included."""
        options = self.options
        return Job(
            model=self.model,
            parameters=self.parameters,
            source=self.folder,
            destination=self.folder,
            reuse=options.reuse,
            order_unanswered=options.order_unanswered,
            time_limit=options.time_limit,
            allowance=Allowance.of(options.max_cost),
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


async def upscale_images(batch: Batch, runtime: Runtime, board: Board) -> Upscaled:
    """Send pictures to an upscaler and put its results together.

    Args:
        batch: the pictures and what to do.
        runtime: runs the jobs.
        board: is told of all jobs, of as many as there are pictures.

    Raises:
        RemoteUpscaleError: a picture failed, and is not to be replaced; the jobs of the others are cancelled.
    """
    began = time.monotonic()
    _check(batch.images)
    batch.model.check(batch.parameters)  # refuses what is wrong before any work is done
    colours, alpha = await asyncio.to_thread(split_alpha, batch.images)
    tasks: list[asyncio.Task[tuple[torch.Tensor | None, Entry]]] = []
    try:
        async for encoded in _in_thread(encode_batch(colours, batch.model.limits)):
            number = len(tasks)
            one = _Picture(batch, runtime, board, number, colours[number], encoded)
            tasks.append(asyncio.create_task(one.upscale()))
            await _raise_first(tasks)
        made = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    entries = [entry for _, entry in made]
    images = await asyncio.to_thread(_together, [picture for picture, _ in made], batch.images, alpha)
    seconds = time.monotonic() - began
    return Upscaled(images, as_json(batch.model, entries, seconds), ended(entries, seconds))


def _check(images: torch.Tensor) -> None:
    if images.ndim != 4 or images.shape[3] not in {3, 4}:
        raise InvalidInput(
            f"The pictures have the shape {list(images.shape)} instead of [batch, height, width, 3 or 4].",
            hint="Give an IMAGE.",
        )
    if not len(images):
        raise InvalidInput("The batch of pictures is empty.", hint="Give at least one picture.")


async def _in_thread(items: Iterator[_Item]) -> AsyncIterator[_Item]:
    """What takes long to make, item by item, without blocking the loop."""
    while True:
        item = await asyncio.to_thread(next, items, None)
        if item is None:
            return
        yield item


async def _raise_first(tasks: list[asyncio.Task[tuple[torch.Tensor | None, Entry]]]) -> None:
    """Do not encode the rest of a batch that has failed already."""
    await asyncio.sleep(0)
    for task in tasks:
        if task.done():
            task.result()


@dataclass(frozen=True)
class _Picture:
    """One picture of a batch on its way."""

    batch: Batch
    runtime: Runtime
    board: Board
    number: int
    colours: torch.Tensor
    encoded: Encoded

    async def upscale(self) -> tuple[torch.Tensor | None, Entry]:
        """The result [H',W',3], or nothing where it failed and the source is to be kept."""
        source = self.batch.folder / f"{self.number:04}{self.encoded.suffix}"
        destination = self.batch.folder / f"{self.number:04}-result"
        own = (self.encoded.note,) if self.encoded.note else ()
        notes = (*self.batch.options.unmet(self.batch.model), *own)
        try:
            content = await asyncio.to_thread(self._write, source)
            job = replace(self.batch.job, source=source, destination=destination, content=content)
            outcome = await self._run(job)
            picture = await asyncio.to_thread(
                decode_picture, outcome.path, alpha=False, max_pixels=_MOST_PIXELS
            )
        except RemoteUpscaleError as error:
            if self.batch.options.on_failure is OnFailure.STOP or error.kind in _OF_NO_PICTURE:
                if len(self.batch.images) > 1:
                    error.message = f"Picture {self.number + 1} of {len(self.batch.images)}: {error.message}"
                raise
            kept = "The source was kept, scaled by Lanczos."
            return None, Entry(error=error, notes=(*notes, kept))
        else:
            return picture, Entry(outcome, notes=notes)
        finally:
            self.board.done(self.number)
            source.unlink(missing_ok=True)
            destination.unlink(missing_ok=True)

    async def _run(self, job: Job) -> Outcome:
        return await self.runtime.run(self.batch.options.account, job, self.board.listener(self.number))

    def _write(self, path: Path) -> str | None:
        """Write the file; the digest of what it shows, where it shows exactly the picture."""
        try:
            path.write_bytes(self.encoded.data)
        except OSError as error:
            raise cannot_write(path, error) from None
        return None if self.encoded.format == "jpeg" else pixels_digest(to_uint8(self.colours))


def _together(
    results: list[torch.Tensor | None], sources: torch.Tensor, alpha: torch.Tensor | None
) -> torch.Tensor:
    sizes = [result.shape[:2] for result in results if result is not None]
    # Where nothing came back there is no size to scale to, so the sources stay as they are.
    height, width = sizes[0] if sizes else sources.shape[1:3]
    pictures = [
        enlarged(source[..., :3], height, width) if result is None else result
        for result, source in zip(results, sources, strict=True)
    ]
    if alpha is not None:
        pictures = [join_alpha(picture, one) for picture, one in zip(pictures, alpha, strict=True)]
    return stack_results(pictures)
