"""VIDEO as a file to send, sound put back into results, and results compared with their sources."""

from __future__ import annotations

import abc
import io
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from remote_upscale.api_clients.errors import InvalidInput
from remote_upscale.api_clients.models import Limits
from remote_upscale.nodes.media.video_read import read_frames
from remote_upscale.nodes.media.video_remux import compare, restore_audio
from remote_upscale.nodes.media.video_source import as_file
from remote_upscale.nodes.media.video_write import write_video

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


def ramp(samples: int = 48000) -> dict[str, Any]:
    return {
        "waveform": torch.linspace(-0.5, 0.5, samples).view(1, 1, -1).repeat(1, 2, 1),
        "sample_rate": 48000,
    }


def numbered(count: int = 30) -> torch.Tensor:
    levels = torch.arange(count).float() / 60 + 0.2
    return levels.view(-1, 1, 1, 1).expand(count, 48, 64, 3)


def numbers(images: torch.Tensor) -> list[int]:
    return ((images.mean((1, 2, 3)) - 0.2) * 60).round().int().tolist()


def packets(path: Path, kind: str) -> list[bytes]:
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


def times(path: Path, kind: str) -> list[Fraction]:
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [packet.pts * packet.time_base for packet in container.demux(stream) if packet.size]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``long.mp4``: 30 frames with sound and key frames at 0, 10, 20; ``silent.mp4``; ``long.mkv``."""
    folder = tmp_path_factory.mktemp("clips")
    write_video(numbered(), Fraction(30000, 1001), folder / "silent.mp4", crf=1)
    write_video(numbered(), Fraction(30000, 1001), folder / "plain.mp4", crf=1, audio=ramp())
    recode(folder / "plain.mp4", folder / "long.mp4", "aac")
    recode(folder / "plain.mp4", folder / "long.mkv", "aac")
    recode(folder / "plain.mp4", folder / "pcm.mkv", "pcm_s16le")
    return folder


def recode(source: Path, target: Path, sound: str) -> None:
    options = {"x264-params": "keyint=10:min-keyint=10:scenecut=0:bframes=2:open-gop=0", "crf": "1"}
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        video = made.add_stream("libx264", rate=Fraction(30000, 1001), options=options)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = made.add_stream(sound, rate=48000, layout="stereo")
        for frame in given.decode(video=0):
            frame.pict_type = 0
            made.mux(video.encode(frame))
        made.mux(video.encode(None))
        given.seek(0)
        for frame in given.decode(audio=0):
            made.mux(audio.encode(frame))
        made.mux(audio.encode(None))


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
    assert "without encoding" in file.note
    assert packets(file.path, "video") == packets(clips / "long.mkv", "video")
    assert packets(file.path, "audio") == packets(clips / "long.mkv", "audio")
    assert numbers(read_frames(file.path).images) == list(range(30))


def test_a_container_with_sound_that_does_not_fit_is_encoded(clips: Path, tmp_path: Path) -> None:
    file = as_file(OfFile(str(clips / "pcm.mkv")), tmp_path, LIMITS)
    assert "encoded anew" in file.note
    frames = read_frames(file.path)
    assert numbers(frames.images) == list(range(30))
    assert frames.rate == Fraction(30000, 1001)
    assert frames.audio is not None
    assert abs(frames.audio["waveform"].shape[2] - 48000) < 1200


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
    assert ("without encoding" in file.note) == copied
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


@pytest.mark.parametrize("source", ["long.mp4", "long.mkv", "plain.mp4"])
def test_sound_is_put_back_packet_by_packet(clips: Path, tmp_path: Path, source: str) -> None:
    result, whole = clips / "silent.mp4", tmp_path / "whole.mp4"
    assert restore_audio(result, clips / source, whole).done
    assert packets(whole, "video") == packets(result, "video")
    assert packets(whole, "audio") == packets(clips / source, "audio")
    assert times(whole, "video") == times(result, "video")
    with av.open(str(whole)) as container:
        assert container.streams.video[0].average_rate == Fraction(30000, 1001)
    before, after = read_frames(clips / source).audio, read_frames(whole).audio
    assert before is not None
    assert after is not None
    shared = min(before["waveform"].shape[2], after["waveform"].shape[2])
    assert shared >= 48000
    if source != "long.mkv":
        assert torch.equal(before["waveform"][..., :shared], after["waveform"][..., :shared])


def test_sound_that_does_not_fit_is_said(clips: Path, tmp_path: Path) -> None:
    restored = restore_audio(clips / "silent.mp4", clips / "pcm.mkv", tmp_path / "whole.mp4")
    assert not restored.done
    assert "pcm" in restored.note
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("result", "source"), [("plain.mp4", "long.mp4"), ("silent.mp4", "silent.mp4")])
def test_there_is_nothing_to_put_back(clips: Path, tmp_path: Path, result: str, source: str) -> None:
    restored = restore_audio(clips / result, clips / source, tmp_path / "whole.mp4")
    assert (restored.done, restored.note) == (False, "")
    assert not list(tmp_path.iterdir())


def test_a_result_like_its_source_has_no_differences(clips: Path) -> None:
    assert compare(clips / "plain.mp4", clips / "long.mp4") == ()
    assert compare(clips / "silent.mp4", clips / "silent.mp4") == ()


def test_differences_are_sentences(clips: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    write_video(numbered(25), Fraction(25), other)
    assert compare(clips / "long.mp4", other) == (
        "The result has 25 frames, the source 30.",
        "The result has 25 frames a second, the source 30000/1001.",
        "The source has sound, the result has none.",
    )
    write_video(numbered(20), Fraction(30000, 1001), other, audio=ramp(24000))
    assert compare(clips / "plain.mp4", other) == (
        "The result has 20 frames, the source 30.",
        "The result takes 0.667 seconds, the source 1.001.",
        "The result's sound takes 0.500 seconds, the source's 1.000.",
    )


def test_damaged_files_end_in_our_error(clips: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes((clips / "plain.mp4").read_bytes()[:300])
    for call in (
        lambda: compare(clips / "plain.mp4", bad),
        lambda: restore_audio(bad, clips / "plain.mp4", tmp_path / "whole.mp4"),
        lambda: as_file(OfFile(str(bad), 0.1), tmp_path, LIMITS),
    ):
        with pytest.raises(InvalidInput):
            call()
    assert list(tmp_path.iterdir()) == [bad]
