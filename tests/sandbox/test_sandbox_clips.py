"""Clips of the kinds that are hard to read, through the sandbox's upscaler."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from awkward_clips import (
    ENCODED,
    encode,
    ffmpeg,
    from_second_key,
    places,
    show_a_part,
    shown_by_ffmpeg,
    two_passes,
)
from remote_upscale.api_clients.sandbox.upscale_video import Encoding, upscale

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def check(source: Path, target: Path) -> None:
    """Every frame that is shown is in the result, once and at an even distance."""
    upscale(source, target, Encoding(), lambda size: (size[0] * 2, size[1] * 2))
    raw = ffmpeg("-i", target, "-vf", "scale=240:48", "-f", "rawvideo", "-pix_fmt", "gray", "-")
    got = np.array(places(np.frombuffer(raw, np.uint8).reshape(-1, 48, 240, 1)))
    wanted = np.array(shown_by_ffmpeg(source))
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= 1  # encoded twice, the bar's edge is off by a few pixels


@pytest.mark.parametrize("name", ENCODED)
def test_frames_are_those_that_are_shown(tmp_path: Path, name: str) -> None:
    check(encode(tmp_path / name, *ENCODED[name]), tmp_path / "result.mp4")


def test_frames_that_are_never_shown_and_parts(tmp_path: Path) -> None:
    check(two_passes(tmp_path / "clip.webm"), tmp_path / "result.mp4")
    plain = encode(tmp_path / "plain.mp4", *ENCODED["open-265.mp4"])
    check(show_a_part(plain, tmp_path / "part.mp4", 0.35, 1.2), tmp_path / "result.mp4")
    check(from_second_key(plain, tmp_path / "cut.mkv"), tmp_path / "result.mp4")


@pytest.mark.parametrize(
    "matrix", [(0, 1, 1, 0), (0, -1, -1, 0), (-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, -1, 0)]
)
def test_clips_are_laid_as_they_are_shown(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    source, target = tmp_path / "clip.mp4", tmp_path / "result.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=96x64:r=10:d=0.3", "-c:v", "libx264", "-crf", "1", source)
    data = bytearray(source.read_bytes())
    at = data.index(struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30), data.index(b"tkhd"))
    a, b, c, d = (value << 16 for value in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    source.write_bytes(data)
    upscale(source, target, Encoding(), lambda size: (size[0] * 2, size[1] * 2))
    shown = [
        np.frombuffer(
            ffmpeg("-i", clip, "-vf", "scale=96:96", "-f", "rawvideo", "-pix_fmt", "gray", "-"), np.uint8
        )
        for clip in (source, target)
    ]
    assert np.abs(shown[0].astype(float) - shown[1]).mean() < 6
