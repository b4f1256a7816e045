"""Draws the pictures of the help pages, before and after, with results of the sandbox.

``.venv/bin/python tools/help_pictures.py`` writes them to ``web/docs/pictures``, without a key or a network.
There are no words in the pictures, so that they serve every language; ``help_pages.py`` writes the captions.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from help.canvas import cut, failed, film, played, rows, tile
from help.shots import OPTIONS, SHOTS, TO_FRAMES, TO_VIDEO, Shot
from PIL import Image
from remote_upscale.api_clients.engine import Engine, Job
from remote_upscale.api_clients.models import Media
from remote_upscale.api_clients.registry import MODELS
from remote_upscale.api_clients.settings import Settings
from remote_upscale.nodes.media.enlarge import enlarge_into
from remote_upscale.nodes.media.rates import exact_rate
from remote_upscale.nodes.media.video_read import read_frames
from remote_upscale.nodes.media.video_write import write_video

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "web" / "docs" / "pictures"
PHOTO = ROOT / "demo" / "media" / "cat.png"
CLIP = ROOT / "demo" / "media" / "cat.mp4"
_STRIDE = 15
_SHAPE, _WIDE = 1.4, 2.1
"""Width by height of what is shown."""


def main() -> None:
    """Draw all pictures and say how large they are."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        drawn = asyncio.run(_upscaled(Path(folder))) | _frames(Path(folder))
    for node, picture in drawn.items():
        path = PICTURES / f"{node}.webp"
        picture.save(path, quality=84, method=6)
        print(f"{path.relative_to(ROOT)}  {picture.width} x {picture.height}, {path.stat().st_size:,} bytes")


async def _upscaled(folder: Path) -> dict[str, Image.Image]:
    """A picture for each model, and that of the run options."""
    texture = folder / "texture.png"
    _texture().save(texture)
    drawn: dict[str, Image.Image] = {}
    async with Engine.open(Settings(home=folder / "home", sandbox=True)) as engine:
        for shot in SHOTS:
            clip = MODELS[shot.model].media is Media.VIDEO
            source = texture if shot.tiled else CLIP if clip else PHOTO
            result = await _run(engine, shot, source, folder)
            drawn[MODELS[shot.model].node_id] = _draw(shot, source, result)
        drawn["RemoteUpscaleOptions"] = await _batch(engine, folder)
    return drawn


async def _run(engine: Engine, shot: Shot, source: Path, folder: Path) -> Path:
    destination = folder / f"{source.stem}-{shot.model.replace('/', '-')}{source.suffix}"
    job = Job(model=MODELS[shot.model], parameters=shot.parameters, source=source, destination=destination)
    return (await engine.run(job)).path


def _draw(shot: Shot, source: Path, result: Path) -> Image.Image:
    if source.suffix == ".mp4":
        before, after = ([_pictures(path)[n] for n in shot.frames] for path in (source, result))
        size = tile(len(before), _SHAPE)
        return rows(*([cut(frame, shot.view, size) for frame in frames] for frames in (before, after)))
    before, after = _opened(source), _opened(result)
    if shot.tiled:
        before, after = _tiled(before), _tiled(after)
    return rows(*([cut(picture, shot.view, tile(1, _WIDE))] for picture in (before, after)))


async def _batch(engine: Engine, folder: Path) -> Image.Image:
    """A batch of three, the second of which failed and was kept: scaled as the nodes do it."""
    size = tile(len(OPTIONS.parts), _SHAPE)
    before: list[Image.Image] = []
    after: list[Image.Image] = []
    for number, part in enumerate(OPTIONS.parts):
        source = folder / f"part{number}.png"
        picture = _opened(PHOTO).crop(part)
        picture.save(source)
        result = _opened(await _run(engine, OPTIONS.shot, source, folder))
        if number == OPTIONS.failed:
            values = torch.from_numpy(np.asarray(picture, np.float32) / 255)
            scaled = torch.empty(result.height, result.width, values.shape[2])
            enlarge_into(values, scaled)
            result = _pillow(scaled)
        before.append(cut(picture, None, size))
        after.append(cut(result, None, size))
    before[OPTIONS.failed] = failed(before[OPTIONS.failed])
    return rows(before, after)


def _frames(folder: Path) -> dict[str, Image.Image]:
    """What the two nodes for frames do with the clip, done by what they use."""
    some = read_frames(CLIP, stride=_STRIDE)
    strip = [_pillow(image) for image in some.images]
    again = folder / "again.mp4"
    write_video(some.images, exact_rate(float(some.rate)), again)
    return {
        TO_FRAMES: film(played(_pictures(CLIP)[0]), strip, clip_first=True),
        TO_VIDEO: film(played(_pictures(again)[0]), strip, clip_first=False),
    }


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGB")


def _pictures(path: Path) -> Sequence[Image.Image]:
    return [_pillow(image) for image in read_frames(path).images]


def _pillow(image: torch.Tensor) -> Image.Image:
    return Image.fromarray((image * 255).round().to(torch.uint8).numpy())


def _tiled(picture: Image.Image) -> Image.Image:
    whole = Image.new("RGB", (2 * picture.width, 2 * picture.height))
    for place in ((0, 0), (picture.width, 0), (0, picture.height), picture.size):
        whole.paste(picture, place)
    return whole


def _texture(side: int = 40, stones: int = 11) -> Image.Image:
    """A pavement that tiles: each pixel belongs to the nearest stone, measured around the edges."""
    random = np.random.default_rng(5)
    centres = random.uniform(0, side, (stones, 2))
    tones = random.uniform(0.55, 1.0, stones)
    grid = np.stack(np.mgrid[0:side, 0:side], -1)[..., None, :] + 0.5
    apart = np.abs(grid - centres)
    distances = np.hypot(*np.moveaxis(np.minimum(apart, side - apart), -1, 0))
    nearest, second = np.moveaxis(np.sort(distances, -1)[..., :2], -1, 0)
    joint = np.clip((second - nearest) / 2.2, 0, 1)
    shade = tones[distances.argmin(-1)] * (1.05 - 0.03 * nearest) * (0.3 + 0.7 * joint)
    grain = random.normal(0, 0.02, (side, side))
    colour = (shade + grain)[..., None] * np.array([196, 170, 141])
    return Image.fromarray(np.clip(colour, 0, 255).astype(np.uint8))


if __name__ == "__main__":
    main()
