"""Inputs that can be told apart by their size, and what has to become of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from remote_upscale.api_clients.models import Model
from remote_upscale.api_clients.sizes import Size

_WIDTH, _HEIGHT = 64, 8


@dataclass(frozen=True)
class Picture:
    """One input of a round.

    Attributes:
        source: the file, different in content from every other one.
        output: where its result is to go.
        size: the result's; no other picture of the round has it, so a job at the sandbox shows whose it is.
    """

    source: Path
    output: Path
    size: Size

    def flaw(self) -> str | None:
        """What is wrong with the output. The sandbox enlarges by Lanczos, which is done here once more."""
        if not self.output.exists():
            return "is missing"
        with Image.open(self.output) as made, Image.open(self.source) as given:
            wanted = given.resize(self.size, Image.Resampling.LANCZOS)
            same = made.size == wanted.size and np.array_equal(np.asarray(made), np.asarray(wanted))
        return None if same else "is not the picture that it should be"


def draw(folder: Path, count: int, seed: int, model: Model, parameters: dict[str, object]) -> list[Picture]:
    """Write so many pictures of noise into a folder."""
    folder.mkdir(parents=True)
    values = model.check(parameters).values
    noise = np.random.default_rng(seed)
    pictures: list[Picture] = []
    for index in range(count):
        size = _WIDTH, _HEIGHT + index
        source = folder / f"{index}.png"
        Image.fromarray(noise.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)).save(source)
        output = folder / "out" / f"{index}.png"
        pictures.append(Picture(source, output, model.sizing.expect(values, size).size))
    return pictures
