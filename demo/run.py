"""Runs all eight models in the sandbox through the command line and draws a contact sheet of the results.

Then it runs a workflow in ComfyUI, where one is installed. ``make demo`` runs all of this. It needs no key
and no network, costs nothing, and leaves no trace outside of ``demo-results``: the job ledger is there too.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contact_sheet import Entry, draw_sheet
from in_comfyui import run_workflow
from remote_upscale.api_clients.registry import PROVIDERS

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "demo-results"
PICTURE = ROOT / "demo" / "media" / "cat.png"
CLIP = ROOT / "demo" / "media" / "cat.mp4"
COMMAND = Path(sys.executable).with_name("remote-upscale")


@dataclass(frozen=True)
class Job:
    """One run of one model."""

    model: str
    source: Path
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def result(self) -> Path:
        """Where the result goes."""
        ending = {"jpg": ".jpg"}.get(self.parameters.get("output_format", ""), self.source.suffix)
        return RESULTS / f"{self.model.replace('/', '-')}{ending}"

    @property
    def arguments(self) -> list[str]:
        """The command line, without the command."""
        settings = [word for pair in self.parameters.items() for word in ("-p", "=".join(pair))]
        source, result = (str(path.relative_to(ROOT)) for path in (self.source, self.result))
        return ["run", self.model, source, "-o", result, *settings, "--sandbox", "--json"]


JOBS = (
    Job("pixazo/seedvr2-3b-image", PICTURE, {"upscale_factor": "4"}),
    Job("pixazo/seedvr2-7b-image", PICTURE, {"res_w": "1600", "res_h": "1064"}),
    Job("pixazo/crystal-image", PICTURE, {"scale_factor": "6"}),
    Job("apixo/image-upscaler", PICTURE, {"resolution": "2k", "output_format": "png"}),
    Job("fal/seedvr2-image", PICTURE, {"upscale_factor": "3", "output_format": "jpg"}),
    Job("fal/seedvr2-seamless", PICTURE, {"upscale_mode": "target", "target_resolution": "1440p"}),
    Job("pixazo/seedvr2-3b-video", CLIP, {"upscale_mode": "target", "target_resolution": "1080p"}),
    Job("pixazo/topaz-video", CLIP, {"upscale_factor": "2"}),
)


def environment() -> dict[str, str]:
    """This process's environment without the user's own keys, stores and ledger."""
    keys = {provider.key_variable for provider in PROVIDERS.values()}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in keys and not name.startswith("REMOTE_UPSCALE_")
    }
    return kept | {"REMOTE_UPSCALE_HOME": str(RESULTS / "ledger")}


def run(job: Job) -> Entry:
    """Run one job as a user would, and say how it went.

    Raises:
        SystemExit: it failed; the reason has been shown.
    """
    print(f"$ {shlex.join(['remote-upscale', *job.arguments])}", flush=True)
    done = subprocess.run(
        [COMMAND, *job.arguments], cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True, check=False
    )
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
    if done.returncode:
        raise SystemExit(f"It ended with status {done.returncode}.")
    cost = report["cost_usd"]
    entry = Entry(
        model=job.model,
        settings="   ".join(f"{name} {value}" for name, value in job.parameters.items()),
        source=job.source,
        result=job.result,
        seconds=report["seconds"],
        cost="price unknown" if cost is None else f"estimate ${cost:.2g}",
    )
    print(f"  {report['state']} in {entry.seconds:.1f} s", flush=True)
    return entry


def main() -> None:
    """Run the jobs, draw the sheet, run the workflow, and say where everything is."""
    shutil.rmtree(RESULTS, ignore_errors=True)
    RESULTS.mkdir()
    entries = [run(job) for job in JOBS]
    sheet = RESULTS / "contact-sheet.png"
    draw_sheet(entries, sheet)
    run_workflow(PICTURE, RESULTS, environment())
    print(f"\nThe eight results are in   {RESULTS}")
    print(f"Before and after, at once  {sheet}")


if __name__ == "__main__":
    main()
