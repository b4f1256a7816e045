"""Clips whose frames and sound say which they are."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import torch


def ramp(samples: int = 48000) -> dict[str, Any]:
    """ComfyUI's AUDIO: rises from -0.5 to 0.5, so that its time can be told."""
    return {
        "waveform": torch.linspace(-0.5, 0.5, samples).view(1, 1, -1).repeat(1, 2, 1),
        "sample_rate": 48000,
    }


def numbered(count: int = 30) -> torch.Tensor:
    """Frames [count,48,64,3], each of a gray that says its number."""
    levels = torch.arange(count).float() / 60 + 0.2
    return levels.view(-1, 1, 1, 1).expand(count, 48, 64, 3)


def numbers(images: torch.Tensor) -> list[int]:
    """What ``numbered`` numbered them by."""
    return ((images.mean((1, 2, 3)) - 0.2) * 60).round().int().tolist()


def packets(path: Path, kind: str) -> list[bytes]:
    """The packets of the first stream of a kind, ``video`` or ``audio``."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


def times(path: Path, kind: str) -> list[Fraction]:
    """When each of them is shown or heard, in seconds."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [packet.pts * packet.time_base for packet in container.demux(stream) if packet.size]


def recode(source: Path, target: Path, codec: str) -> None:
    """A clip with key frames at every tenth frame, and its sound in a codec."""
    options = {"x264-params": "keyint=10:min-keyint=10:scenecut=0:bframes=2:open-gop=0", "crf": "1"}
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        video = made.add_stream("libx264", rate=Fraction(30000, 1001), options=options)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = made.add_stream(codec, rate=48000, layout="stereo")
        for frame in given.decode(video=0):
            frame.pict_type = 0
            made.mux(video.encode(frame))
        made.mux(video.encode(None))
        given.seek(0)
        for frame in given.decode(audio=0):
            made.mux(audio.encode(frame))
        made.mux(audio.encode(None))
