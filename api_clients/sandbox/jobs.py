"""Jobs: accepted, queued, worked on in a pool of threads, done; the same for every provider."""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

import aiohttp

from ..models import Media, Model
from ..parameters import Value
from ..redaction import get_logger
from ..sizes import Size
from . import inputs, upscale_image, upscale_video
from .hooks import Hooks
from .problems import InputRefused, Problem
from .replies import Json

MOST_JOBS = 5000
"""Kept in memory; the oldest finished ones make room."""

_log = get_logger(__name__)
_MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "mp4": "video/mp4"}
_EXTENSIONS = {"jpeg": "jpg"}


@dataclass(frozen=True, kw_only=True)
class Delays:
    """How long a job takes.

    Attributes:
        queue: seconds in the queue.
        run: seconds at work after that, at least.
        told: whether the submit's reply says so in ``Retry-After``; the real providers keep silent.
    """

    queue: float = 0.3
    run: float = 0.7
    told: bool = True


class State(StrEnum):
    """Where a job is, in nobody's words."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Failure:
    """How a job failed, in the provider's words."""

    code: str
    message: str
    charged: bool = True


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished job's file."""

    path: Path
    media_type: str
    size: Size
    length: int


class Outcomes(ABC):
    """How one provider words what becomes of a job."""

    provider: str
    takes_inline: bool = False
    """Whether inputs may be data URIs."""

    @abstractmethod
    def refused(self, refusal: InputRefused) -> Failure:
        """The input was not usable."""


@dataclass(eq=False, kw_only=True)
class Job:
    """One accepted job.

    Attributes:
        request_id: the provider's id of it.
        model: what was asked for.
        parameters: the submitted JSON body.
        values: the parameters that count, defaults filled in.
        address: of the input.
        charged: whether it costs something.
        accepted: when it was.
        starts: when it leaves the queue, on the monotonic clock.
        ends: when it is done at the earliest, on the monotonic clock.
    """

    request_id: str
    model: Model
    parameters: Json
    values: Mapping[str, Value]
    address: str = field(repr=False)
    outcomes: Outcomes = field(repr=False)
    delays: Delays
    charged: bool = True
    accepted: datetime = field(default_factory=lambda: datetime.now(UTC))
    starts: float = 0.0
    ends: float = 0.0
    cancelled: bool = False
    failure: Failure | None = None
    result: Result | None = None
    worked: datetime | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def state(self) -> State:
        """Where it is now: the delays have passed, and the real work is done."""
        now = time.monotonic()
        if self.cancelled:
            return State.CANCELLED
        if now < self.starts:
            return State.QUEUED
        if now < self.ends or self.task is None or not self.task.done():
            return State.RUNNING
        return State.FAILED if self.failure else State.DONE

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in (State.DONE, State.FAILED, State.CANCELLED)

    @property
    def updated(self) -> datetime:
        """When its state last changed."""
        match self.state:
            case State.QUEUED:
                return self.accepted
            case State.RUNNING:
                return self.accepted + timedelta(seconds=self.delays.queue)
            case _:
                return self.completed

    @property
    def completed(self) -> datetime:
        """When it was or will be over, as far as known."""
        planned = self.accepted + timedelta(seconds=self.delays.queue + self.delays.run)
        return max(planned, self.worked or planned)

    @property
    def retry_after(self) -> dict[str, str]:
        """A ``Retry-After`` header for the submit's reply.

        The pages show none; it is allowed there by HTTP, and tells a client in whole seconds when asking
        for the first time makes sense.
        """
        if not self.delays.told:
            return {}
        left = 0 if self.over else max(0.0, self.ends - time.monotonic())
        return {"Retry-After": str(math.ceil(left))}

    def as_json(self) -> Json:
        """For the control interface; without the input's address, which may be signed."""
        return {
            "request_id": self.request_id,
            "model": self.model.id,
            "parameters": {k: v for k, v in self.parameters.items() if k != self.model.media_field},
            "values": dict(self.values),
            "state": self.state.value,
            "charged": self.charged,
            "failure": self.failure.code if self.failure else None,
            "accepted": self.accepted.isoformat(),
            "completed": self.completed.isoformat() if self.over else None,
        }


class Jobs:
    """Every job of a sandbox.

    Args:
        folder: for inputs and results.
        delays: how long jobs take at least; can be changed for those to come.
        hooks: what a test does to them.
    """

    def __init__(self, folder: Path, delays: Delays, hooks: Hooks) -> None:
        self._folder, self._hooks = folder, hooks
        self.delays = delays
        self._jobs: dict[str, Job] = {}
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="sandbox-upscale")
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def find(self, request_id: str) -> Job | None:
        """The job of that id."""
        return self._jobs.get(request_id)

    async def accept(
        self,
        request_id: str,
        model: Model,
        *,
        body: Json,
        values: Mapping[str, Value],
        address: str,
        outcomes: Outcomes,
    ) -> Job:
        """Take a job and begin it. Without delays it is over when this returns."""
        now = time.monotonic()
        job = Job(
            request_id=request_id,
            model=model,
            parameters={name: _short(value) for name, value in body.items()},
            values=values,
            address=address,
            outcomes=outcomes,
            delays=self.delays,
            starts=now + self.delays.queue,
            ends=now + self.delays.queue + self.delays.run,
        )
        self._jobs[request_id] = job
        job.task = asyncio.create_task(self._work(job))
        self._make_room()
        if not self.delays.queue + self.delays.run:
            await asyncio.wait([job.task])
        return job

    def cancel(self, job: Job) -> None:
        """Stop a job that is not over."""
        job.cancelled = True
        job.worked = datetime.now(UTC)
        if job.task is not None:
            job.task.cancel()

    def ahead(self, job: Job) -> int:
        """How many of the provider's queued jobs come before this one."""
        queued = (
            other
            for other in self._jobs.values()
            if other.model.provider == job.model.provider and other.state is State.QUEUED
        )
        return sum(1 for other in queued if other.starts < job.starts)

    async def close(self) -> None:
        """Stop everything; threads are waited for."""
        tasks = [job.task for job in self._jobs.values() if job.task is not None and not job.task.done()]
        for job in self._jobs.values():
            if job.task in tasks:
                self.cancel(job)
        if tasks:
            await asyncio.wait(tasks)
        await self._session.close()
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    async def _work(self, job: Job) -> None:
        source = self._folder / f"{job.request_id}.input"
        try:
            job.result = await self._upscale(job, source)
        except InputRefused as refusal:
            job.failure = job.outcomes.refused(refusal)
        except JobEnded as ended:
            job.failure = ended.failure
        except Exception:  # noqa: BLE001 (a server answers whatever happens: a full disk, too little memory)
            _log.exception("A job of %s failed in the sandbox itself.", job.model.id)
            job.failure = job.outcomes.refused(InputRefused(Problem.INTERNAL, "Internal server error."))
        finally:
            job.address = str(_short(job.address))
            source.unlink(missing_ok=True)
            job.worked = datetime.now(UTC)
        if job.failure:
            job.charged = job.failure.charged

    async def _upscale(self, job: Job, source: Path) -> Result:
        await self._hooks.before_input(job)
        inline = job.outcomes.takes_inline
        await inputs.fetch(self._session, job.address, source, job.model.limits, inline=inline)
        await self._hooks.before_work(job)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._make, job, source)

    def _make(self, job: Job, source: Path) -> Result:
        """The CPU's part, in a thread of the pool."""
        file_format = job.model.output_format(job.values)
        folder = self._folder / "results" / job.request_id
        folder.mkdir(parents=True)
        path = folder / f"output.{_EXTENSIONS.get(file_format, file_format)}"

        def target_size(size: Size) -> Size:
            return self._hooks.result_size(job, job.model.sizing.expect(job.values, size).size)

        if job.model.media is Media.VIDEO:
            encoding = upscale_video.Encoding(
                hevc=str(job.values.get("output_format", "")).startswith("H265"),
                quality=str(job.values.get("output_quality", "high")),
            )
            size = upscale_video.upscale(source, path, encoding, target_size, lambda: job.cancelled)
        else:
            size = upscale_image.upscale(source, path, file_format, target_size)
        return Result(path=path, media_type=_MEDIA_TYPES[file_format], size=size, length=path.stat().st_size)

    def _make_room(self) -> None:
        surplus = len(self._jobs) - MOST_JOBS
        for job in [job for job in self._jobs.values() if job.over][: max(0, surplus)]:
            del self._jobs[job.request_id]
            if job.result:
                shutil.rmtree(job.result.path.parent, ignore_errors=True)


def _short(value: object) -> object:
    """What is kept of a submitted value: an inline picture would take as much memory again for each job."""
    return value[:64] + "…" if isinstance(value, str) and value.startswith("data:") else value


class JobEnded(Exception):
    """A job is over without a result; raised by hooks."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure
