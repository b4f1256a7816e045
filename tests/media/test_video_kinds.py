"""Frames of clips of all kinds, whole and in ranges, against those that ffmpeg shows."""

from __future__ import annotations

import shutil
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from awkward_clips import (
    CUT,
    EDITED,
    ENCODED,
    encode,
    ffmpeg,
    from_second_key,
    places,
    show_a_part,
    shown_by_ffmpeg,
    two_passes,
)
from remote_upscale.api_clients.files.probe import probe
from remote_upscale.nodes.media.timeline import read_timeline
from remote_upscale.nodes.media.video_read import read_frames

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
RANGES = ((0, 4, 1), (5, 4, 1), (9, 2, 1), (10, 2, 1), (11, 4, 3), (0, 3, 7))


@pytest.fixture(scope="session")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the clips that others are made of."""
    folder = tmp_path_factory.mktemp("kinds")
    for name in CUT:
        encode(folder / name, *ENCODED[name])
    return folder


def check(path: Path) -> None:
    """The whole clip and ranges of it are what ffmpeg shows."""
    wanted = shown_by_ffmpeg(path)
    frames = read_frames(path)
    assert wanted
    assert places(frames.images.numpy()) == wanted
    assert read_timeline(path).frames == len(wanted)
    ranges = [part for part in RANGES if part[0] < len(wanted)]
    for start, count, stride in (*ranges, (len(wanted) - 3, 9, 1)):
        part = read_frames(path, start=start, count=count, stride=stride).images
        assert places(part.numpy()) == wanted[start::stride][:count]


@pytest.mark.parametrize("name", ENCODED)
def test_frames_are_those_that_are_shown(tmp_path: Path, name: str) -> None:
    check(encode(tmp_path / name, *ENCODED[name]))


def test_frames_that_are_never_shown_do_not_count(tmp_path: Path) -> None:
    check(two_passes(tmp_path / "clip.webm"))


@pytest.mark.parametrize("seconds", [0.75, 0.95, 1.05])
@pytest.mark.parametrize(("name", "suffix"), [(name, suffix) for name in CUT for suffix in CUT[name]])
def test_clips_that_were_cut_without_encoding(
    encoded: Path, tmp_path: Path, name: str, suffix: str, seconds: float
) -> None:
    cut = tmp_path / f"cut.{suffix}"
    ffmpeg("-ss", seconds, "-i", encoded / name, "-c", "copy", cut)
    check(cut)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("name", ["open-265.mp4", "open-264.mov", "mpeg2.mkv", "b-frames.mp4"])
def test_pictures_that_cannot_be_decoded_at_the_beginning(
    encoded: Path, tmp_path: Path, name: str, suffix: str
) -> None:
    cut = from_second_key(encoded / name, tmp_path / f"cut.{suffix}")
    check(cut)
    said = any("cannot be decoded" in note for note in read_frames(cut).notes)
    assert said == (suffix == "mkv" and not name.startswith("b-frames"))


@pytest.mark.parametrize(("start", "seconds"), [(0.0, 1.0), (0.35, 1.2), (1.0, 1.3)])
@pytest.mark.parametrize("name", EDITED)
def test_an_edit_list_shows_a_part(
    encoded: Path, tmp_path: Path, name: str, start: float, seconds: float
) -> None:
    check(show_a_part(encoded / name, tmp_path / name, start, seconds))


def test_a_broken_packet_costs_no_more_than_its_frame(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mkv", "-c:v", "mjpeg")
    wanted = shown_by_ffmpeg(path)
    data = bytearray(path.read_bytes())
    pictures = [at for at in range(len(data)) if data[at : at + 4] == b"\xff\xd8\xff\xe0"]
    data[pictures[15] : pictures[15] + 200] = bytes(200)
    path.write_bytes(data)
    frames = read_frames(path)
    assert places(frames.images.numpy()) == [*wanted[:15], wanted[14], *wanted[16:]]
    assert any("1 frames cannot be decoded" in note for note in frames.notes)


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
@pytest.mark.parametrize("rate", ["30000/1001", "60", "24000/1001", "25"])
def test_one_dropped_frame_does_not_change_the_rate(tmp_path: Path, rate: str, suffix: str) -> None:
    dropped = "select='not(eq(n,50))'"
    path = encode(
        tmp_path / f"clip.{suffix}", "-c:v", "libx264", "-g", "12", rate=rate, seconds=4, change=dropped
    )
    timeline = read_timeline(path)
    frames = round(4 * Fraction(rate))
    assert timeline.rate == Fraction(rate)
    assert timeline.frame_index.tolist() == [n if n < 50 else n - 1 for n in range(frames)]
    assert "1 frames were repeated and 0 left out" in timeline.warnings[0]


@pytest.mark.parametrize(("late", "rate"), [(0.003, "30"), (0.005, "15"), (0.002, "60")])
def test_frames_that_are_some_milliseconds_late_stay(tmp_path: Path, late: float, rate: str) -> None:
    moved = f"settb=1/1000,setpts='PTS+if(eq(mod(N,50),25),{late}/TB,0)'"
    clock = ("-c:v", "libx264", "-enc_time_base", "1:1000")
    path = encode(tmp_path / "clip.mkv", *clock, rate=rate, seconds=10, change=moved)
    timeline = read_timeline(path)
    assert timeline.rate == Fraction(rate)
    assert timeline.frame_index.tolist() == list(range(timeline.frames))


@pytest.mark.parametrize("rate", ["30000/1001", "24000/1001", "60000/1001", "25"])
def test_the_rate_stays_exact_after_a_remux(tmp_path: Path, rate: str) -> None:
    made = encode(tmp_path / "made.mp4", "-c:v", "libx264", rate=rate, seconds=7)
    rounded, path = tmp_path / "rounded.mkv", tmp_path / "clip.mp4"
    ffmpeg("-i", made, "-c", "copy", rounded)
    ffmpeg("-i", rounded, "-c", "copy", path)
    for clip in (made, rounded, path):
        assert read_timeline(clip).rate == Fraction(rate)


MATRICES = {
    "as it is": (1, 0, 0, 1),
    "quarter": (0, 1, -1, 0),
    "half": (-1, 0, 0, -1),
    "three quarters": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "flipped": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "the other way": (0, -1, -1, 0),
}


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_every_display_matrix_is_applied(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    plain, turned = tmp_path / "plain.mp4", tmp_path / "turned.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=96x64:r=10:d=0.3", "-c:v", "libx264", "-crf", "1", plain)
    data = bytearray(plain.read_bytes())
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    a, b, c, d = (value << 16 for value in matrix)
    at = data.index(upright, data.index(b"tkhd"))
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    turned.write_bytes(data)
    info = probe(turned)
    width, height = info.size
    assert (width, height) == ((96, 64) if a else (64, 96))
    raw = ffmpeg("-i", turned, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    wanted = np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3) / 255
    assert np.abs(read_frames(turned).images.numpy() - wanted).mean() < 0.02


@pytest.mark.parametrize("kind", ["pal8", "gray", "monob", "bgr24"])
def test_palettes_and_gray_have_their_colours(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "clip.mkv" if kind == "gray" else tmp_path / "clip.avi"
    codec = {"pal8": "rawvideo", "gray": "ffv1", "monob": "rawvideo", "bgr24": "rawvideo"}[kind]
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=96x64:r=10:d=0.3", "-pix_fmt", kind, "-c:v", codec, path)
    raw = ffmpeg("-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    wanted = np.frombuffer(raw, np.uint8).reshape(-1, 64, 96, 3) / 255
    assert np.abs(read_frames(path).images.numpy() - wanted).max() < 0.01


def test_a_first_frame_that_is_too_long_does_not_change_the_rate(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mkv", "-c:v", "libx264", rate="25", change="setpts='PTS+gt(N,0)*0.021/TB'")
    timeline = read_timeline(path)
    assert timeline.rate == 25
    assert set(timeline.frame_index.tolist()) == set(range(timeline.frames))
