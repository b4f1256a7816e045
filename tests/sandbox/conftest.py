"""A running sandbox, a plain HTTP client, and media made on the spot."""

import io
import math
import random
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from fractions import Fraction
from pathlib import Path

import av
import httpx
import pytest
from faulty_sandbox import FaultySandbox
from PIL import Image
from remote_upscale.api_clients.registry import MODELS
from remote_upscale.api_clients.sandbox import Delays

FAL = {"Authorization": "Key key"}


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[FaultySandbox]]]:
    async with AsyncExitStack() as stack:

        async def begin(*models, **options) -> FaultySandbox:
            options = {"delays": Delays(queue=0, run=0), **options}
            return await stack.enter_async_context(FaultySandbox(models or MODELS.values(), **options))

        yield begin


@pytest.fixture
async def sandbox(start) -> FaultySandbox:
    """All models, without delays: a job is over when its submit is answered."""
    return await start()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as made:
        yield made


@pytest.fixture
def photo() -> Image.Image:
    """A small picture with flat parts, ramps and grain."""
    grain = Image.frombytes("RGB", (60, 40), random.Random(7).randbytes(60 * 40 * 3))
    ramp = Image.merge("RGB", [Image.linear_gradient("L").resize((60, 40))] * 3)
    picture = Image.blend(grain, ramp, 0.7)
    picture.paste((250, 20, 90), (10, 8, 30, 20))
    return picture


@pytest.fixture
def encode() -> Callable[..., bytes]:
    def to_bytes(picture: Image.Image, file_format: str = "PNG", **options) -> bytes:
        buffer = io.BytesIO()
        picture.save(buffer, file_format, **options)
        return buffer.getvalue()

    return to_bytes


@pytest.fixture
def host(client) -> Callable[..., Awaitable[str]]:
    """Puts bytes into the sandbox's storage; gives their public address."""

    async def upload(sandbox: FaultySandbox, content: bytes, content_type: str = "image/png") -> str:
        reply = await client.post(f"{sandbox.roots.fal_rest}/storage/auth/token", headers=FAL, json={})
        reply = await client.post(
            f"{sandbox.roots.fal_cdn}/files/upload",
            headers={"Authorization": f"Bearer {reply.json()['token']}", "Content-Type": content_type},
            content=content,
        )
        return reply.json()["access_url"]

    return upload


@pytest.fixture
async def input_url(sandbox, host, photo, encode) -> str:
    return await host(sandbox, encode(photo))


@pytest.fixture
def make_clip() -> Callable[..., Path]:
    return _make_clip


def _make_clip(
    path: Path,
    *,
    rate: Fraction = Fraction(30000, 1001),
    frames: int = 8,
    codec: str = "libx264",
    sound: str | None = "aac",
    full_range: bool = False,
) -> Path:
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=rate)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        video.codec_context.color_range = 2 if full_range else 1
        video.codec_context.colorspace = video.codec_context.color_primaries = 1
        video.codec_context.color_trc = 1
        audio = container.add_stream(sound, rate=48000) if sound else None
        for index in range(frames):
            frame = av.VideoFrame(48, 32, "yuv420p")
            ramp = bytes(60 + 120 * (x // 6 % 2) + index for x in range(48))
            for plane, row in zip(frame.planes, (ramp, bytes([128] * 24), bytes([140] * 24)), strict=True):
                plane.update(row.ljust(plane.line_size, b"\0") * plane.height)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio:
            _add_tone(container, audio)
    return path


def _add_tone(container, audio) -> None:
    resampler = av.AudioResampler(format=audio.codec_context.format, layout=audio.codec_context.layout.name)
    for start in range(0, 12288, 1024):
        frame = av.AudioFrame(format="flt", layout="mono", samples=1024)
        tone = (math.sin(x / 20) for x in range(start, start + 1024))
        frame.planes[0].update(struct.pack("1024f", *tone))
        frame.rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        for part in resampler.resample(frame):
            container.mux(audio.encode(part))
    container.mux(audio.encode(None))
