"""One user of one model: orders, is killed, goes on, and looks at the books, round after round."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from faulty_sandbox import FaultySandbox
from remote_upscale.api_clients.registry import PROVIDERS, ROOTS, find_model

from .aims import choose
from .books import audit, left_over
from .client import Commands, Ended
from .pictures import Picture, draw
from .report import STAGES, Report
from .watch import Watch

_INPUTS = 4
"""Pictures in a round, all given to each process."""

_MOST_KILLS = 5
"""In a round, before it is seen through."""

_MOST_ATTEMPTS = 6


class Lane:
    """A model with a sandbox and a home folder of its own.

    Args:
        model: its id.
        parameters: that make results lossless, and small.
        sandbox: the provider; it outlives the processes.
        folder: for everything.
        report: where to count.
        wanted: kills after which no further ones are made; all lanes together.
        environment: variables for the processes, such as another ledger's address.
        resume_first: call `resume` before each `run`.
    """

    def __init__(
        self,
        model: str,
        parameters: Mapping[str, str],
        sandbox: FaultySandbox,
        folder: Path,
        report: Report,
        *,
        wanted: int,
        environment: Mapping[str, str],
        resume_first: bool,
    ) -> None:
        self._model, self._sandbox, self._report, self._wanted = find_model(model), sandbox, report, wanted
        self._parameters = dict(parameters)
        self._words = [word for name, value in parameters.items() for word in ("-p", f"{name}={value}")]
        self._folder = folder / self._model.provider
        self._home, self._work = self._folder / "home", self._folder / "work"
        self._home.mkdir(parents=True)
        roots = {ROOTS[name].variable: url for name, url in sandbox.roots.items()}
        own = {"REMOTE_UPSCALE_HOME": str(self._home), "REMOTE_UPSCALE_HOSTING": "fal"}
        self._commands = Commands(
            {
                **roots,
                **own,
                **dict.fromkeys((provider.key_variable for provider in PROVIDERS.values()), "key"),
                **environment,
            },
            self._folder,
        )
        self._rng = random.Random(f"{report.seed} {model}")
        self._resume_first = resume_first
        self._number = 0
        self._pictures: list[Picture] = []
        self._decisions: Counter[Path] = Counter()
        self._story: list[str] = []

    async def go(self) -> None:
        """Rounds until there were enough kills."""
        while self._report.kills < self._wanted:
            self._number += 1
            already = {job.request_id for job in self._sandbox.jobs}
            await self._round()
            self._report.rounds += 1
            self._report.inputs += len(self._pictures)
            await self._look_at_the_books(already)
        for finding in left_over(self._home, self._work):
            self._complain(finding)

    async def _round(self) -> None:
        self._story = []
        self._decisions = Counter()
        folder = self._work / f"round-{self._number}"
        self._pictures = await asyncio.to_thread(
            draw, folder, _INPUTS, self._rng.getrandbits(32), self._model, dict(self._parameters)
        )
        accepted = len(self._sandbox.jobs)
        for turn in range(self._rng.randint(1, _MOST_KILLS)):
            if self._report.kills >= self._wanted or not self._unfinished():
                break
            all_sent = len(self._sandbox.jobs) - accepted >= len(self._pictures)
            stages = ["any", "status", "fetch", "store"] if all_sent else ["any", *STAGES]
            if turn:
                stages = [stage for stage in stages if stage != "upload"]
            words = ("resume", "--json") if turn and self._rng.random() < 0.3 else self._run(self._pictures)
            if self._resume_first and turn:
                await self._commands.to_the_end("resume", "--json")
            beside = not self._resume_first and self._rng.random() < 0.15
            await self._kill(words, self._choose(stages), beside=beside)
        await self._finish()

    def _unfinished(self) -> int:
        """How many inputs have no output."""
        return sum(not picture.output.exists() for picture in self._pictures)

    def _choose(self, stages: list[str]) -> str:
        """Half of the time the stage that was hit least."""
        if self._rng.random() < 0.5:
            return self._rng.choice(stages)
        hits = self._report.aimed + self._report.fell
        hits["any"] *= 2  # nothing falls on it
        return min(stages, key=lambda stage: (hits[stage], self._rng.random()))

    async def _kill(self, words: tuple[str, ...], stage: str, *, beside: bool = False) -> None:
        """Kill one process; with ``beside`` another one is at the same inputs, and goes on."""
        aim = choose(self._rng, stage, self._model.provider)
        if not beside:  # what hangs would keep the other one from its end
            aim.obstruct(self._sandbox.faults, times=self._rng.randint(1, _INPUTS))
        outputs = [picture.output for picture in self._pictures]
        watch = Watch(self._sandbox, outputs, self._home / "results")
        nth = self._rng.randint(1, max(1, self._unfinished()))
        killing = self._commands.kill(words, aim, watch, self._rng, nth)
        if beside:
            other = self._commands.to_the_end(*self._run(self._pictures))
            ended, _finished = await asyncio.gather(killing, other)
        else:
            ended = await killing
        self._sandbox.faults.clear()
        self._count(words, stage, ended, beside=beside)

    def _count(self, words: tuple[str, ...], stage: str, ended: Ended | set[str], *, beside: bool) -> None:
        report = self._report
        if isinstance(ended, Ended):
            report.missed += 1
            self._story.append(f"{words[0]} not killed at {stage}")
            return
        report.kills += 1
        report.resumes += words[0] == "resume"
        report.beside += beside
        report.aimed[stage] += 1
        if not beside:  # else it is not known whose requests they were
            report.fell.update(ended or {"none"})
        company = " beside another" if beside else ""
        self._story.append(f"{words[0]} killed at {stage}{company} ({', '.join(sorted(ended))})")

    async def _finish(self) -> None:
        """Go on until every input has its output; a person decides about those that are unknown."""
        left = self._pictures
        for _attempt in range(_MOST_ATTEMPTS):
            if self._resume_first or self._rng.random() < 0.3:
                self._story.append("resume")
                await self._commands.to_the_end("resume", "--json")
            unknown = await self._run_to_the_end(left)
            if not unknown:
                return
            left = unknown
            self._decisions.update(picture.source for picture in unknown)
            self._report.decisions += len(unknown)
            if self._report.kills < self._wanted and self._rng.random() < 0.2:
                await self._kill(self._run(unknown, "--no-reuse"), self._choose(["any", *STAGES[1:]]))
            else:
                left = await self._run_to_the_end(unknown, "--no-reuse")
                if not left:
                    return
        self._complain(f"{len(left)} inputs have no output after {_MOST_ATTEMPTS} attempts")

    async def _run_to_the_end(self, pictures: list[Picture], *options: str) -> list[Picture]:
        """Run undisturbed; returns the pictures whose submits are unknown. Nothing else may go wrong."""
        self._story.append(f"run {' '.join(options)}".strip())
        ended = await self._commands.to_the_end(*self._run(pictures, *options))
        by_input = {document["input"]: document for document in ended.documents}
        if by_input.keys() != {str(picture.source) for picture in pictures}:
            self._complain(str(ended))
        unknown: list[Picture] = []
        for picture in pictures:
            error = by_input.get(str(picture.source), {}).get("error")
            if error and error["kind"] == "submission_unknown" and not options:
                unknown.append(picture)
            elif error:
                self._complain(f"{picture.source.name}: an undisturbed run fails: {error}")
        return unknown

    async def _look_at_the_books(self, already: set[str]) -> None:
        jobs = [job for job in self._sandbox.jobs if job.request_id not in already]
        self._report.charged += sum(job.charged for job in jobs)
        rows = (await self._commands.to_the_end("jobs", "--json")).documents
        known = {job.request_id for job in jobs} | already
        for finding in audit(self._pictures, jobs, rows, self._decisions, known=known):
            self._complain(finding)

    def _complain(self, finding: str) -> None:
        where = f"{self._model.id}, round {self._number}"
        self._report.violations.append(f"- {where}: {finding}\n    [{'; '.join(self._story)}]")

    def _run(self, pictures: list[Picture], *options: str) -> tuple[str, ...]:
        sources = [str(picture.source) for picture in pictures]
        folder = f"{pictures[0].output.parent}/"
        return ("run", self._model.id, *sources, "-o", folder, "--json", *self._words, *options)
