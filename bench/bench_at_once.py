"""24 inputs of a 5-second job, at each provider: how close to the ideal, which is the 5 seconds of one job.

The baseline is one input of the same job in the same run. Everything is real but the provider, which is the
sandbox in another process: inputs are uploaded, jobs submitted and polled, results downloaded and checked.
Like the providers, the sandbox does not say here when a job will be done: the first question comes at the
model's ``first_poll``. At APIXO that is the 10 s that its page asks for: no job is found done sooner there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from goals import at_most
from PIL import Image
from remote_upscale.api_clients.engine import Engine, Job
from remote_upscale.api_clients.models import Model
from remote_upscale.api_clients.registry import MODELS
from remote_upscale.api_clients.settings import Settings
from sandbox_process import sandbox_process

INPUTS = 24
IDEAL = 5.0
LIMIT = 1.3
PARAMETERS: Mapping[str, Mapping[str, object]] = {
    "pixazo/seedvr2-3b-image": {},
    "apixo/image-upscaler": {"resolution": "2k"},
    "fal/seedvr2-image": {},
}


def make_pictures(folder: Path, count: int, hue: int) -> list[Path]:
    """Small pictures, each different, so that none is answered by another's result."""
    paths = [folder / f"{hue}-{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.new("RGB", (96, 64), (hue, number * 8, 128)).save(path)
    return paths


async def seconds_for(settings: Settings, model: Model, pictures: list[Path]) -> float:
    """How long the engine takes for all pictures, from the first job's start to the last result in place."""
    jobs = [
        Job(
            model=model,
            parameters=PARAMETERS[model.id],
            source=picture,
            destination=picture.with_suffix(f".{model.provider}"),
            reuse=False,
        )
        for picture in pictures
    ]
    async with Engine.open(settings) as engine:
        began = time.perf_counter()
        await asyncio.gather(*map(engine.run, jobs))
        return time.perf_counter() - began


async def main() -> None:
    """Measure and print a table."""
    print(f"{INPUTS} inputs of a {IDEAL:g}-second job, at once")
    print(
        f"{'provider':<10}{'1 input':>10}{f'{INPUTS} inputs':>12}{'to 1 input':>12}"
        f"{'ideal':>8}{'to ideal':>10}{'limit':>8}"
    )
    with TemporaryDirectory() as name, sandbox_process(seconds=IDEAL) as environment:
        folder = Path(name)
        settings = Settings.load(environment, home=folder)
        for number, model in enumerate(map(MODELS.__getitem__, PARAMETERS)):
            pictures = make_pictures(folder, 1 + INPUTS, number)
            one = await seconds_for(settings, model, pictures[:1])
            many = await seconds_for(settings, model, pictures[1:])
            ideal = max(IDEAL, model.first_poll)
            goal = at_most(LIMIT, f"{INPUTS} inputs at {model.provider}, to the ideal", many / ideal, "x")
            print(
                f"{model.provider:<10}{one:>8.2f} s{many:>10.2f} s{many / one:>11.2f}x"
                f"{ideal:>6.0f} s{many / ideal:>9.2f}x{LIMIT:>7.2f}x  {goal.verdict}",
                flush=True,
            )


if __name__ == "__main__":
    asyncio.run(main())
