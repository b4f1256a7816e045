"""The command as a process: run to its end, or killed at its moment."""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .aims import ANY, Aim
from .watch import Watch

_LOOK = 0.002
"""Seconds between two looks at a process."""

_SOON = 0.3
"""Seconds between two events of which the second one still counts."""

_PATIENCE = 120.0
"""Seconds after which a process that nobody kills counts as hanging."""


@dataclass(frozen=True)
class Ended:
    """How a process ended by itself."""

    words: tuple[str, ...]
    status: int
    out: str
    err: str

    @property
    def documents(self) -> list[dict[str, Any]]:
        """Its lines on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]

    def __str__(self) -> str:
        return f"{' '.join(self.words[:2])} ended with {self.status}: {self.out[-1500:]} {self.err[-1500:]}"


class Commands:
    """Starts the command in one environment.

    Args:
        environment: variables beside the usual ones.
        folder: where to work.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        strange = ("REMOTE_UPSCALE_", "AWS_", "PIXAZO_", "APIXO_", "FAL_")
        usual = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
        self._environment = {**usual, **environment}
        self._folder = folder
        self.usual = 1.0
        """Seconds that a process takes that nobody kills, going by the latest ones."""

    async def to_the_end(self, *words: str) -> Ended:
        """Run a command undisturbed."""
        began = time.monotonic()
        process = await self._start(words)
        try:
            async with asyncio.timeout(_PATIENCE):
                out, err = await process.communicate()
        finally:
            await _end(process)
        self.usual = 0.7 * self.usual + 0.3 * (time.monotonic() - began)
        return Ended(words, process.returncode or 0, out.decode(), err.decode())

    async def kill(
        self, words: tuple[str, ...], aim: Aim, watch: Watch, rng: random.Random, nth: int
    ) -> Ended | set[str]:
        """Run a command and kill it at its moment.

        Args:
            words: the command.
            aim: the moment.
            watch: made just before.
            rng: chooses how long after the event it is.
            nth: which of the aim's events counts; an earlier one does if no other follows soon.

        Returns:
            The stages that its inputs were in; or how it ended, if that came first.
        """
        wait = rng.uniform(0, self.usual) if aim is ANY else rng.uniform(0, aim.latest)
        process = await self._start(words)
        talking = asyncio.create_task(process.communicate())
        try:
            async with asyncio.timeout(_PATIENCE):
                await _moment(aim, watch, nth, talking)
                await asyncio.wait([talking], timeout=wait)
                if not talking.done():
                    stages = watch.stages()
                    process.kill()
                    await talking
                    return stages
                out, err = await talking
                return Ended(words, process.returncode or 0, out.decode(), err.decode())
        finally:
            await _end(process)

    async def _start(self, words: tuple[str, ...]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "remote_upscale",
            *words,
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )


async def _moment(aim: Aim, watch: Watch, nth: int, talking: asyncio.Task[Any]) -> None:
    """Return after the aim's event, or when the process has ended."""
    last: float = math.inf
    happened = 0
    while happened < nth and time.monotonic() - last < _SOON and not talking.done():
        await asyncio.wait([talking], timeout=_LOOK)
        now = aim.counts(watch)
        if now > happened:
            happened, last = now, time.monotonic()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()
