"""VIDEO as a file to send."""

from __future__ import annotations

import abc
import io
import shutil
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from awkward_clips import ffmpeg
from numbered_videos import numbered, numbers, packets, ramp, times
from remote_upscale.api_clients.errors import InvalidInput
from remote_upscale.api_clients.files import open_video
from remote_upscale.api_clients.models import Limits
from remote_upscale.nodes.media.video_read import read_frames
from remote_upscale.nodes.media.video_source import as_file

LIMITS = Limits(formats=("mp4", "mov", "avi", "webm"))


class AnyVideo(abc.ABC):
    """The shape of ComfyUI's abstract VIDEO: without a file, it encodes itself when asked for one."""

    @abc.abstractmethod
    def get_components(self) -> Any: ...

    def get_stream_source(self) -> str | io.BytesIO:
        raise AssertionError("this would encode the clip twice")

    def get_active_trim_window(self) -> tuple[float, float]:
        return 0.0, 0.0


@dataclass
class Parts:
    images: torch.Tensor
    audio: dict[str, Any] | None
    frame_rate: Fraction


class OfPictures(AnyVideo):
    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def get_components(self) -> Parts:
        return self.parts


class OfFile(AnyVideo):
    def __init__(self, file: str | io.BytesIO, start: float = 0.0, length: float = 0.0) -> None:
        self.file, self.window = file, (start, length)

    def get_components(self) -> Any:
        raise AssertionError("nothing needs all frames in memory")

    def get_stream_source(self) -> str | io.BytesIO:
        return self.file

    def get_active_trim_window(self) -> tuple[float, float]:
        return self.window


def test_a_file_stays_that_very_file(clips: Path, tmp_path: Path) -> None:
    path = clips / "long.mp4"
    file = as_file(OfFile(str(path)), tmp_path, LIMITS)
    assert (file.path, file.temporary, file.note) == (path, False, "")
    assert not list(tmp_path.iterdir())


def test_bytes_become_a_file(clips: Path, tmp_path: Path) -> None:
    data = (clips / "long.mp4").read_bytes()
    file = as_file(OfFile(io.BytesIO(data)), tmp_path, LIMITS)
    assert file.temporary
    assert file.path.suffix == ".mp4"
    assert file.path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [file.path]


def test_another_container_is_changed_without_encoding(clips: Path, tmp_path: Path) -> None:
    file = as_file(OfFile(str(clips / "long.mkv")), tmp_path, LIMITS)
    assert file.temporary
    assert "without re-encoding" in file.note
    assert packets(file.path, "video") == packets(clips / "long.mkv", "video")
    assert packets(file.path, "audio") == packets(clips / "long.mkv", "audio")
    assert numbers(read_frames(file.path).images) == list(range(30))


def test_sound_that_does_not_fit_is_encoded_without_loss(clips: Path, tmp_path: Path) -> None:
    file = as_file(OfFile(str(clips / "pcm.mkv")), tmp_path, LIMITS)
    assert "without re-encoding" in file.note
    assert "ALAC" in file.note
    assert packets(file.path, "video") == packets(clips / "pcm.mkv", "video")
    before, after = read_frames(clips / "pcm.mkv"), read_frames(file.path)
    assert numbers(after.images) == list(range(30))
    assert before.audio is not None
    assert after.audio is not None
    assert torch.equal(after.audio["waveform"], before.audio["waveform"])


# Seconds: frame n is shown from n * 1001/30000 on.
@pytest.mark.parametrize(
    ("first", "count", "copied"),
    [(10, 20, True), (20, 10, True), (10, 10, True), (7, 10, False), (0, 5, False)],
)
def test_trimming_is_exact(clips: Path, tmp_path: Path, first: int, count: int, copied: bool) -> None:
    source = clips / "long.mp4"
    step = 1001 / 30000
    length = 0.0 if first + count == 30 else (count - 0.01) * step
    file = as_file(OfFile(str(source), first * step + 1e-6 if first else 0.0, length), tmp_path, LIMITS)
    assert file.temporary
    assert ("without re-encoding" in file.note) == copied
    assert list(tmp_path.iterdir()) == [file.path]
    frames = read_frames(file.path)
    assert numbers(frames.images) == list(range(first, first + count))
    assert frames.rate == Fraction(30000, 1001)
    assert times(file.path, "video")[0] == 0
    if copied:
        kept = packets(source, "video")
        assert packets(file.path, "video") == kept[first : first + count]
    assert frames.audio is not None
    waveform = frames.audio["waveform"][0, 0]
    wanted = (first * step + 1000 / 48000) - 0.5
    assert abs(waveform[1000].item() - wanted) < 0.01
    if length:
        assert abs(len(waveform) - count * step * 48000) < 1100


def test_trimmed_to_nothing(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="Nothing is left"):
        as_file(OfFile(str(clips / "long.mp4"), 5.0), tmp_path, LIMITS)
    assert not list(tmp_path.iterdir())


def test_pictures_are_encoded(tmp_path: Path) -> None:
    parts = Parts(numbered(5)[:, :47, :63], ramp(8000), Fraction(24000, 1001))
    file = as_file(OfPictures(parts), tmp_path, LIMITS)
    assert file.temporary
    frames = read_frames(file.path)
    assert numbers(frames.images) == list(range(5))
    assert frames.images.shape[1:3] == (47, 63)
    assert frames.rate == Fraction(24000, 1001)
    assert frames.audio is not None
    assert frames.audio["waveform"].shape == (1, 2, 8000)


@pytest.mark.parametrize("content", [b"", b"nonsense" * 99])
def test_bytes_that_are_no_clip_leave_nothing_behind(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InvalidInput):
        as_file(OfFile(io.BytesIO(content)), tmp_path, LIMITS)
    assert not list(tmp_path.iterdir())


def test_pictures_that_cannot_be_encoded_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="alpha"):
        as_file(OfPictures(Parts(torch.zeros(1, 8, 8, 4), None, Fraction(25))), tmp_path, LIMITS)
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_ends_in_our_error(clips: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes((clips / "plain.mp4").read_bytes()[:300])
    with pytest.raises(InvalidInput):
        as_file(OfFile(str(bad), 0.1), tmp_path, LIMITS)
    assert list(tmp_path.iterdir()) == [bad]


def test_a_file_that_is_sent_as_it_is_is_not_opened_here(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    monkeypatch.setattr(open_video, "_open", lambda *args, **kwargs: opened.append(args))
    as_file(OfFile(str(clips / "long.mp4")), tmp_path, LIMITS)
    assert opened == []


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_a_trimmed_hdr_clip_stays_hdr(tmp_path: Path, transfer: str) -> None:
    path = tmp_path / "hdr.mp4"
    tags = f"log-level=error:keyint=50:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    source = ("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=1", "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1")
    ffmpeg(*source, "-c:v", "libx265", "-x265-params", tags, path)
    file = as_file(OfFile(str(path), 0.2, 0.4), tmp_path, LIMITS)
    assert "H.265 of 10 bits" in file.note
    with av.open(str(file.path)) as container:
        context = container.streams.video[0].codec_context
        assert context.pix_fmt == "yuv420p10le"
        assert (context.color_trc, context.color_primaries, context.colorspace) == (
            16 if transfer == "smpte2084" else 18,
            9,
            9,
        )
    raw = [
        np.frombuffer(ffmpeg("-i", clip, "-f", "rawvideo", "-pix_fmt", "yuv420p10le", "-"), np.uint16)
        for clip in (path, file.path)
    ]
    wanted, got = (codes.reshape(-1, 96 * 64 * 3 // 2).astype(float) for codes in raw)
    assert len(got) == 10
    assert np.abs(got - wanted[5:15]).mean() < 12
