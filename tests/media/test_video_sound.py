"""Sound of clips of all kinds: in step, put back whatever its codec, and every track of it."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from awkward_clips import ffmpeg
from numbered_videos import numbered, packets
from remote_upscale.nodes.media.video_read import read_frames
from remote_upscale.nodes.media.video_result import compare
from remote_upscale.nodes.media.video_write import write_video

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
VIDEO = ("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=2")
SOUND = ("-f", "lavfi", "-i", "aevalsrc='sin(440*2*PI*t)*0.4*(1+t)/3':s=48000:d=2")
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


def heard(path: Path, track: int = 0) -> np.ndarray:
    """The first channel as ffmpeg decodes it, at 48000 samples a second."""
    options = ("-map", f"0:a:{track}", "-ar", "48000", "-ac", "1", "-f", "f32le", "-")
    return np.frombuffer(ffmpeg("-i", path, *options), np.float32)


@pytest.fixture
def silent(tmp_path: Path) -> Path:
    ffmpeg(*VIDEO, *X264, tmp_path / "silent.mp4")
    return tmp_path / "silent.mp4"


@pytest.mark.parametrize(
    ("name", "codec", "words"),
    [
        ("a.avi", ("libmp3lame",), "put back."),
        ("a.mkv", ("mp2",), "put back."),
        ("a.mkv", ("libopus",), "put back."),
        ("a.mov", ("pcm_s16le",), "ALAC"),
        ("a.mov", ("pcm_s24le", "-ac", "2"), "ALAC"),
        ("a.avi", ("pcm_u8",), "ALAC"),
        ("a.mkv", ("libvorbis",), "AAC"),
        ("a.mkv", ("libvorbis", "-ar", "22050"), "AAC"),
        ("a.avi", ("adpcm_ms",), "AAC"),
        ("a.mkv", ("pcm_s16le", "-ac", "6"), "AAC"),
    ],
)
def test_sound_of_any_codec_is_put_back(
    tmp_path: Path, silent: Path, name: str, codec: tuple[str, ...], words: str
) -> None:
    source, whole = tmp_path / name, tmp_path / "whole.mp4"
    ffmpeg(*VIDEO, *SOUND, *X264, "-bf", "0", "-c:a", *codec, source)
    compared = compare(source, silent, whole)
    assert compared.restored
    assert words in compared.notes[0]
    assert packets(whole, "video") == packets(silent, "video")
    before, after = heard(source), heard(whole)
    length = min(len(before), len(after)) - 4000
    assert length > 85_000
    # In step, but for the few milliseconds of a codec's own delay, which MP4 does not say of copied sound.
    shifts = range(-1200, 1201, 4)
    off = [np.abs(before[2000:length] - np.roll(after, shift)[2000:length]).mean() for shift in shifts]
    assert abs(shifts[int(np.argmin(off))]) <= (600 if words == "put back." else 48)
    assert min(off) < 0.02


def test_every_sound_track_is_put_back(tmp_path: Path, silent: Path) -> None:
    source, whole = tmp_path / "two.mkv", tmp_path / "whole.mp4"
    other = ("-f", "lavfi", "-i", "sine=880:r=48000:d=2")
    tracks = ("-map", "0", "-map", "1", "-map", "2", *X264, "-c:a:0", "aac", "-c:a:1", "pcm_s16le")
    ffmpeg(*VIDEO, *SOUND, *other, *tracks, source)
    compared = compare(source, silent, whole)
    assert compared.notes[0].startswith("The source's 2 sound tracks were put back as ALAC")
    with av.open(str(whole)) as container:
        names = [stream.codec_context.name for stream in container.streams.audio]
    assert names == ["aac", "alac"]
    assert np.array_equal(heard(source, 1)[:95_000], heard(whole, 1)[:95_000])
    assert any("2 sound tracks" in note for note in read_frames(source).notes)


@pytest.mark.parametrize(("codec", "suffix"), [("pcm_s16le", "mkv"), ("aac", "mov"), ("aac", "mkv")])
def test_a_gap_in_the_sound_is_silence(tmp_path: Path, codec: str, suffix: str) -> None:
    whole, gap = tmp_path / f"whole.{suffix}", tmp_path / f"gap.{suffix}"
    ffmpeg(*VIDEO, *SOUND, *X264, "-c:a", codec, whole)
    with av.open(str(whole)) as given, av.open(str(gap), "w") as made:
        copies = {stream.index: made.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            is_sound = packet.stream.type == "audio"
            if packet.dts is None or (is_sound and 0.5 <= packet.pts * packet.time_base < 0.8):
                continue
            packet.stream = copies[packet.stream.index]
            made.mux(packet)
    before, after = read_frames(whole).audio, read_frames(gap).audio
    assert before is not None
    assert after is not None
    was, now = before["waveform"][0, 0], after["waveform"][0, 0]
    assert abs(len(was) - len(now)) <= 1024
    assert now[26_500:37_000].abs().max() == 0
    assert torch.allclose(now[42_000:90_000], was[42_000:90_000], atol=1e-3)
    if suffix == "mkv":
        return  # whose clock counts milliseconds, so that sound within it begins nearly at its time
    part = read_frames(gap, start=30, count=10).audio
    assert part is not None
    assert torch.allclose(part["waveform"][0, 0], was[57_600:76_800], atol=1e-3)


@pytest.mark.parametrize("rate", [192_000, 11_111, 6000])
def test_sound_of_any_rate_is_written(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "clip.mp4"
    wave = torch.sin(torch.arange(rate) / rate * 440 * 2 * torch.pi).view(1, 1, -1) * 0.5
    write_video(numbered(25), Fraction(25), path, audio={"waveform": wave, "sample_rate": rate})
    got = heard(path)
    assert abs(len(got) - 48_000) < 7500  # a block is filled up
    crossings = np.count_nonzero(np.diff(np.signbit(got[4000:44_000])))
    assert abs(crossings - 2 * 440 * 40 / 48) < 4


def test_an_index_that_does_not_flag_sound_hinders_nothing(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    ffmpeg(*VIDEO, *SOUND, "-c:v", "mpeg4", "-g", "10", "-c:a", "libmp3lame", path)
    whole = read_frames(path)
    data = bytearray(path.read_bytes())
    at = data.rindex(b"idx1")
    for entry in range(at + 8, at + 8 + int.from_bytes(data[at + 4 : at + 8], "little"), 16):
        if data[entry : entry + 4] == b"01wb":
            data[entry + 4] &= 0xEF
    path.write_bytes(data)
    part = read_frames(path, start=35, count=5)
    assert torch.equal(part.images, whole.images[35:40])
    assert whole.audio is not None
    assert part.audio is not None
    wanted = whole.audio["waveform"][..., 35 * 1920 : 40 * 1920]
    assert torch.allclose(part.audio["waveform"], wanted, atol=0.02)
