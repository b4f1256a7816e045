"""What can be seen of a running process from outside: its requests, and the files that it makes."""

from __future__ import annotations

import time
from pathlib import Path

from faulty_sandbox import FaultySandbox
from remote_upscale.api_clients.sandbox import Recorded

_JUST_NOW = 0.03
"""Seconds for which a process that has put a file in place is taken to be still at storing."""


class Watch:
    """Looks at what happened since it was made.

    Args:
        sandbox: the provider, which nobody else uses.
        outputs: the files that the process is to make.
        results: the folder of the process's result store.
    """

    def __init__(self, sandbox: FaultySandbox, outputs: list[Path], results: Path) -> None:
        self._sandbox, self._outputs, self._results = sandbox, outputs, results
        seen = sandbox.requests
        self._before = seen[-1] if seen else None
        self._there = set(self._files())
        self._delivered = self._made()

    def of(self, stage: str) -> list[Recorded]:
        """The requests of a stage, oldest first."""
        return [entry for entry in self._entries() if stage_of(entry) == stage]

    def delivered(self) -> list[Path]:
        """The outputs that were made."""
        return [path for path in self._made() if path not in self._delivered]

    def kept(self) -> list[Path]:
        """The files that came into the result store, whole or not."""
        return [path for path in self._files() if path not in self._there]

    def stages(self) -> set[str]:
        """The stages that some input is in at this moment."""
        entries = self._entries()
        found = {stage_of(entry) for entry in entries if entry.status is None}
        if entries and stage_of(entries[-1]) in ("upload", "submit"):
            found.add(stage_of(entries[-1]))
        latest = {_job(entry): entry for entry in entries if stage_of(entry) in ("status", "fetch")}
        waiting = sum(entry.status == 200 for entry in self.of("submit")) > len(latest)
        if waiting or any(stage_of(entry) == "status" for entry in latest.values()):
            found.add("status")
        delivered = self.delivered()
        fetched = sum(stage_of(entry) == "fetch" and entry.status is not None for entry in latest.values())
        recent = time.time() - _JUST_NOW
        if fetched > len(delivered) or any(path.stat().st_mtime > recent for path in delivered):
            found.add("store")
        return found

    def _entries(self) -> list[Recorded]:
        new: list[Recorded] = []
        for entry in reversed(self._sandbox.requests):
            if entry is self._before:
                break
            new.append(entry)
        return new[::-1]

    def _files(self) -> list[Path]:
        return [path for path in self._results.rglob("*") if not path.is_dir()]

    def _made(self) -> list[Path]:
        return [path for path in self._outputs if path.exists()]


def stage_of(entry: Recorded) -> str:
    """Which of the harness's stages a request belongs to."""
    if entry.path.startswith("/results/"):
        return "fetch"
    if entry.path.startswith(("/fal/rest/", "/fal/cdn/")):
        return "upload"
    return "submit" if entry.method == "POST" else "status"


def _job(entry: Recorded) -> str:
    """The request id in an address of a status or of a result."""
    if stage_of(entry) == "fetch":
        return entry.path.split("/")[3]
    path, _, query = entry.path.partition("?")
    if query.startswith("taskId="):
        return query.removeprefix("taskId=")
    return path.removesuffix("/status").rpartition("/")[2]
