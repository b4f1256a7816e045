"""A whole crash run: several models side by side, each with its own sandbox and home."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from faulty_sandbox import FaultySandbox
from remote_upscale.api_clients.registry import MODELS
from remote_upscale.api_clients.sandbox import Delays

from .lane import Lane
from .report import Report

_MODELS = {
    "pixazo/seedvr2-3b-image": {"output_format": "png"},
    "apixo/image-upscaler": {"output_format": "png", "resolution": "2k"},
    "fal/seedvr2-image": {"output_format": "png"},
}
"""One of each provider."""


async def crash_run(
    folder: Path,
    *,
    kills: int,
    seed: int,
    environment: Callable[[str], Mapping[str, str]] = lambda _model: {},
    resume_first: bool = False,
) -> Report:
    """Kill so many processes, and see every round through.

    Args:
        folder: for everything; empty.
        kills: how many, at least.
        seed: decides all that the machine's own timing does not.
        environment: tells, by model, variables for the processes.
        resume_first: see ``Lane``.
    """
    report = Report(seed)
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        lanes: list[Lane] = []
        for model, parameters in _MODELS.items():
            # The job is done when the submit is answered: what is to be long is made so by faults.
            sandbox = FaultySandbox(MODELS.values(), delays=Delays(queue=0, run=0), folder=folder)
            await stack.enter_async_context(sandbox)
            lane = Lane(
                model,
                parameters,
                sandbox,
                folder,
                report,
                wanted=kills,
                environment=environment(model),
                resume_first=resume_first,
            )
            lanes.append(lane)
        async with asyncio.TaskGroup() as group:
            for lane in lanes:
                group.create_task(lane.go())
    report.seconds = time.monotonic() - began
    return report
