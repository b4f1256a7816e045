"""What the tests in a real ComfyUI put into its graphs, and look for in what comes out."""

from __future__ import annotations

import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from comfyui_server import ComfyUI
from PIL import Image

CRYSTAL = {"scale_factor": "2", "webhook": "", "webhook_events_filter": ""}
SEEDVR2 = {
    "upscale_mode": "factor",
    "upscale_mode.upscale_factor": 2.0,
    "noise_scale": 0.1,
    "seed": -1,
    "output_format": "png",
    "sync_mode": False,
}


def draw(comfyui: ComfyUI, name: str, size: tuple[int, int] = (48, 32), mode: str = "RGB") -> Image.Image:
    """A picture of its own in ComfyUI's input folder."""
    seed = zlib.crc32(name.encode())
    values = np.random.default_rng(seed).integers(0, 256, (size[1] // 8, size[0] // 8, len(mode)), np.uint8)
    image = Image.fromarray(values, mode).resize(size, Image.Resampling.BICUBIC)
    image.save(comfyui.base / "input" / f"{name}.png")
    return image


def clip_facts(path: Path) -> tuple[int, Fraction, tuple[int, int], int]:
    """Frames, rate, size, and how many sound tracks."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        size = video.codec_context.width, video.codec_context.height
        frames = sum(1 for _ in container.decode(video))
        return frames, Fraction(str(video.average_rate)), size, len(container.streams.audio)
