"""Pictures to clips: exact in time and size, right in colour, sound of the same length."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from remote_upscale.api_clients.errors import InvalidInput
from remote_upscale.nodes.media.video_read import read_frames
from remote_upscale.nodes.media.video_write import write_video

RATES = [Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25), Fraction(1000), Fraction(5, 2)]


def patches(count: int = 3, height: int = 64, width: int = 96) -> torch.Tensor:
    """Frames of flat patches of random colours, each 16 x 16."""
    random = np.random.default_rng(3)
    small = random.random((count, height // 16, width // 16, 3), np.float32)
    return torch.from_numpy(small.repeat(16, axis=1).repeat(16, axis=2))


def tone(samples: int, channels: int = 2, rate: int = 48000) -> dict[str, object]:
    """A tone that rises, so that it is like itself at one place only."""
    seconds = torch.arange(samples, dtype=torch.float64) / rate
    wave = (torch.sin(2 * np.pi * (300 * seconds + 2000 * seconds**2)) * 0.5).float()
    return {"waveform": wave.repeat(channels, 1).unsqueeze(0), "sample_rate": rate}


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_rate_and_every_time_are_exact(tmp_path: Path, rate: Fraction) -> None:
    path = tmp_path / "clip.mp4"
    write_video(patches(11), rate, path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == rate
        assert stream.duration * stream.time_base == 11 / rate
        frames = list(container.decode(stream))
    assert [frame.pts * frame.time_base for frame in frames] == [number / rate for number in range(11)]


def test_a_rate_of_huge_terms_becomes_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_video(patches(5), Fraction(29.97), path)
    assert read_frames(path).rate == Fraction(2997, 100)


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 2), (2, 2), (3, 5), (17, 31), (31, 17), (18, 31), (64, 2), (5, 257)]
)
def test_sizes_come_back(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "clip.mp4"
    picture = torch.full((2, *size, 3), 0.5)
    picture[..., 0] = 0.25
    write_video(picture, Fraction(25), path, crf=1)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.height, stream.width) == size
        odd = size[0] % 2 or size[1] % 2
        assert stream.pix_fmt == ("yuv444p" if odd else "yuv420p")
    images = read_frames(path).images
    assert images.shape == picture.shape
    assert (images - picture).abs().max() < 2.5 / 255


def test_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_video(patches(1), Fraction(30000, 1001), path)
    frames = read_frames(path)
    assert len(frames.images) == 1
    assert frames.rate == Fraction(30000, 1001)
    assert frames.audio is None


def test_it_says_that_it_is_bt709_and_is(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    picture = patches()
    write_video(picture, Fraction(25), path, crf=0)
    weights = np.array([0.2126, 0.7152, 0.0722])
    rgb = picture.numpy().astype(np.float64)
    luma = rgb @ weights
    wanted = [
        16 + 219 * luma,
        128 + 224 * (rgb[..., 2] - luma) / 1.8556,
        128 + 224 * (rgb[..., 0] - luma) / 1.5748,
    ]
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            said = container.streams.video[0].codec_context
            assert (frame.colorspace, said.color_primaries, said.color_trc, frame.color_range) == (1, 1, 1, 1)
            for plane, codes, step in zip(frame.planes, wanted, (1, 2, 2), strict=True):
                got = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width]
                assert np.abs(got - codes[number, ::step, ::step]).max() <= 1.01


def test_strange_values_are_clamped_and_nan_is_black(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    strange = torch.full((1, 16, 64, 3), float("nan"))
    strange[:, :, 16:32] = 7.0
    strange[:, :, 32:48] = -3.0
    strange[:, :, 48:] = float("inf")
    write_video(strange, Fraction(25), path, crf=0)
    row = read_frames(path).images[0, 8, 8::16, 1]
    assert torch.allclose(row, torch.tensor([0.0, 1.0, 0.0, 1.0]), atol=0.01)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16])
def test_types_and_strides(tmp_path: Path, dtype: torch.dtype) -> None:
    path, plain = tmp_path / "clip.mp4", tmp_path / "plain.mp4"
    picture = patches().to(dtype)
    strided = picture.permute(0, 3, 2, 1).contiguous().permute(0, 3, 2, 1)
    write_video(strided, Fraction(25), path)
    write_video(picture.float(), Fraction(25), plain)
    assert path.read_bytes() == plain.read_bytes()


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_sound_keeps_rate_channels_and_length(tmp_path: Path, rate: int, channels: int) -> None:
    path = tmp_path / "clip.mp4"
    sound = tone(rate // 3 + 17, channels, rate)
    write_video(patches(10), Fraction(30000, 1001), path, audio=sound)
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert stream.duration * stream.time_base == Fraction(rate // 3 + 17, rate)
    audio = read_frames(path).audio
    assert audio is not None
    assert audio["sample_rate"] == rate
    assert audio["waveform"].shape == sound["waveform"].shape
    given, got = sound["waveform"][0, 0], audio["waveform"][0, 0]
    middle = slice(rate // 10, rate // 4)
    likeness = [float(torch.dot(given[middle], got.roll(lag)[middle])) for lag in range(-40, 41)]
    assert likeness.index(max(likeness)) == 40


def test_sound_of_nan_is_silence(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    sound = {"waveform": torch.full((1, 1, 5000), float("nan")), "sample_rate": 48000}
    write_video(patches(), Fraction(25), path, audio=sound)
    audio = read_frames(path).audio
    assert audio is not None
    assert audio["waveform"].abs().max() < 1e-3


@pytest.mark.parametrize(
    ("frames", "rate", "audio", "words"),
    [
        (torch.zeros(1, 8, 8, 4), 25, None, "alpha"),
        (torch.zeros(1, 8, 8, 1), 25, None, "1 channels"),
        (torch.zeros(0, 8, 8, 3), 25, None, "no picture"),
        (torch.zeros(8, 8, 3), 25, None, r"shape \[8, 8, 3\]"),
        (torch.zeros(1, 8, 8, 3, dtype=torch.uint8), 25, None, "uint8"),
        (torch.zeros(1, 1, 16385, 3), 25, None, "16385"),
        (torch.zeros(1, 8, 8, 3), 0, None, "0 frames"),
        (torch.zeros(1, 8, 8, 3), -1, None, "frames per second"),
        (torch.zeros(1, 8, 8, 3), 1001, None, "1001"),
        (torch.zeros(1, 8, 8, 3), 25, {"waveform": torch.zeros(1, 2, 99), "sample_rate": 0}, "0"),
        (
            torch.zeros(1, 8, 8, 3),
            25,
            {"waveform": torch.zeros(1, 7, 99), "sample_rate": 48000},
            "7 channels",
        ),
        (
            torch.zeros(1, 8, 8, 3),
            25,
            {"waveform": torch.zeros(2, 2, 99), "sample_rate": 48000},
            "2 waveforms",
        ),
        (torch.zeros(1, 8, 8, 3), 25, {"sample_rate": 48000}, "waveform"),
    ],
)
def test_what_cannot_be_written(
    tmp_path: Path, frames: torch.Tensor, rate: int, audio: dict[str, object] | None, words: str
) -> None:
    path = tmp_path / "clip.mp4"
    with pytest.raises(InvalidInput, match=words):
        write_video(frames, Fraction(rate), path, audio=audio)
    assert not path.exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be written"):
        write_video(patches(), Fraction(25), tmp_path / "nowhere" / "clip.mp4")
