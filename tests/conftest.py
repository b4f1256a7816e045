"""Media, settings and a sandbox for every test that needs them."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from faulty_sandbox import FaultySandbox
from PIL import Image, PngImagePlugin
from remote_upscale.api_clients.registry import MODELS
from remote_upscale.api_clients.sandbox import Delays
from remote_upscale.api_clients.settings import Secret, Settings, TimeLimits

pytest_plugins = ["postgresql_server", "s3_server"]

# A shell starts what runs in the background with Ctrl-C ignored, and processes would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

WORKFLOW = '{"distinctive": "workflow-secret-51c3"}'
"""What ComfyUI would embed; it may never reach a provider."""

KEYS = {name: f"distinctive-{name}-key-8d21" for name in ("pixazo", "apixo", "fal")}
"""Keys that can be searched for."""


def picture(size: tuple[int, int], shift: float = 0.0) -> Image.Image:
    """A picture with gradients and fine detail; neighbouring shifts make a moving one."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    rings = 127 + 120 * np.sin(np.hypot(x - width / 2 + shift, y - height / 2) / 3)
    pixels = np.stack([x * 255 / width, y * 255 / height, rings], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture
def draw() -> Callable[..., Image.Image]:
    """Makes pictures of a given size."""
    return picture


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A PNG with a workflow in it."""
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", WORKFLOW)
    path = tmp_path / "photo.png"
    picture((64, 40)).save(path, pnginfo=info)
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """An MP4 of 12 frames at 30000/1001 with stereo sound and a workflow in it."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata["workflow"] = WORKFLOW
        video = container.add_stream("libx264", rate=Fraction(30000, 1001))
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        audio = container.add_stream("aac", rate=48000, layout="stereo")
        for index in range(12):
            frame = av.VideoFrame.from_image(picture((96, 64), shift=index))
            container.mux(video.encode(frame))
        tone = np.sin(np.arange(48000 * 12 * 1001 // 30000) * 2 * math.pi * 440 / 48000) * 0.3
        sound = av.AudioFrame.from_ndarray(
            np.stack([tone, tone]).astype(np.float32), format="fltp", layout="stereo"
        )
        sound.sample_rate = 48000
        container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


@pytest.fixture
async def sandbox():
    """A sandbox whose jobs are done at once."""
    async with FaultySandbox(MODELS.values(), delays=Delays(queue=0, run=0), keys=KEYS) as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, sandbox: FaultySandbox) -> Settings:
    """Settings of a user with all three keys, at the sandbox, who does not like to wait."""
    return Settings(
        home=tmp_path / "home",
        roots=sandbox.roots,
        keys={name: Secret(key) for name, key in KEYS.items()},
        time=TimeLimits(retry=3, idle=5, cancel=2),
        poll_floor=0.02,
    )


@pytest.fixture
def hasty(settings: Settings) -> Settings:
    """The same, with time limits that run out quickly."""
    return replace(settings, time=TimeLimits(queue=0.3, run=0.3, transfer=10, idle=2, retry=0.5, cancel=0.5))
