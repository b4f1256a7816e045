"""Clips from cameras: what they tell besides picture and sound is gone, and nothing else is changed."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from camera_clips import DATES, PLACE, PRIVATE, SUBTITLES_LEFT_OUT, camera_clip, told
from remote_upscale.api_clients.files.probe import probe
from remote_upscale.api_clients.files.strip import without_metadata

pytestmark = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="FFmpeg's programs are not installed"
)


def packets(path: Path, kinds: str = "va") -> list[str]:
    """The packets of pictures and sound: their times, places in the file, and digests of their content."""
    found = [
        subprocess.run(
            [
                *("ffprobe", "-v", "error", "-select_streams", kind, "-show_data_hash", "sha256"),
                *("-show_entries", "packet=pts,dts,duration,flags,pos,size,data_hash", "-of", "csv", path),
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        for kind in kinds
    ]
    assert not any(result.stderr for result in found)
    return [line for result in found for line in result.stdout.splitlines()]


def decoded(path: Path) -> bytes:
    return subprocess.run(
        [
            *("ffmpeg", "-v", "error", "-i", path, "-map", "0:v:0", "-map", "0:a?"),
            *("-f", "framehash", "-"),
        ],
        check=True,
        capture_output=True,
    ).stdout


def stripped(path: Path) -> tuple[Path, tuple[str, ...]]:
    kept = without_metadata(path, probe(path).format)
    copy = path.with_name(f"copy{path.suffix}")
    copy.write_bytes(b"".join(kept.chunks()))
    return copy, kept.notes


def streams(path: Path) -> list[str]:
    found = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type", "-of", "json", path],
        check=True,
        capture_output=True,
    ).stdout
    return [stream["codec_type"] for stream in json.loads(found)["streams"]]


CLIPS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "dji.mp4": ((), "mov_text"),
    "faststart.mp4": (("-movflags", "+faststart"), "mov_text"),
    "interleaved.mov": (("-timecode", "02:02:02:02", "-max_interleave_delta", "100"), "mov_text"),
    "fragments.mp4": (("-movflags", "frag_keyframe+empty_moov"), "mov_text"),
    "offsets.mp4": (("-movflags", "frag_keyframe+empty_moov+omit_tfhd_offset"), "mov_text"),
    "dash.mp4": (("-movflags", "frag_keyframe+empty_moov+default_base_moof"), "mov_text"),
    "prft.mp4": (("-movflags", "frag_keyframe+empty_moov", "-write_prft", "wallclock"), None),
    "timecode.mov": (("-timecode", "02:02:02:02"), None),
    "dji.mkv": ((), "srt"),
    "clusters.mkv": (("-cluster_time_limit", "300", "-c:v", "mpeg4"), "ass"),
    "dji.webm": (("-c:v", "libvpx", "-c:a", "libopus", "-ar", "48000"), "webvtt"),
    "live.mkv": (("-live", "1"), "srt"),
    "plain.avi": ((), None),
}


@pytest.mark.parametrize("name", CLIPS)
def test_only_picture_and_sound_are_left(name: str, tmp_path: Path) -> None:
    options, subtitles = CLIPS[name]
    path = camera_clip(tmp_path / name, *options, subtitles=subtitles)
    assert PLACE in told(path)
    copy, notes = stripped(path)
    content = copy.read_bytes()
    assert len(content) == path.stat().st_size
    for words in PRIVATE:
        assert words.encode() not in content
    assert not [words for words in [*PRIVATE, *DATES] if words in told(copy)]
    assert streams(copy) == ["video", "audio"]
    assert notes == (SUBTITLES_LEFT_OUT if subtitles else ())
    assert packets(copy) == packets(path)
    assert decoded(copy) == decoded(path)


@pytest.mark.parametrize(("handler", "entry"), [("meta", "gpmd"), ("camm", "camm"), ("meta", "mebx")])
@pytest.mark.parametrize("name", ["dji.mp4", "fragments.mp4", "interleaved.mov"])
def test_tracks_of_sensors_are_left_out(name: str, handler: str, entry: str, tmp_path: Path) -> None:
    path = camera_clip(tmp_path / name, *CLIPS[name][0])
    data = path.read_bytes().replace(b"sbtl", handler.encode()).replace(b"text\0", b"meta\0")
    path.write_bytes(data.replace(b"tx3g", entry.encode()))
    copy, notes = stripped(path)
    assert PLACE.encode() not in copy.read_bytes()
    assert entry.encode() not in copy.read_bytes()
    assert packets(copy) == packets(path)
    assert notes == ()


def test_text_in_an_avi_becomes_silent(tmp_path: Path) -> None:
    """The stream and its packets stay, empty, because other streams are counted after it."""
    path = camera_clip(tmp_path / "plain.avi", subtitles=None)
    data = path.read_bytes().replace(b"auds", b"txts")
    path.write_bytes(data)
    copy, notes = stripped(path)
    assert notes == SUBTITLES_LEFT_OUT
    assert packets(copy, "v") == packets(path, "v")
    at = copy.read_bytes().index(b"01wb")
    size = struct.unpack_from("<I", data, at + 4)[0]
    assert copy.read_bytes()[at + 8 : at + 8 + size] == bytes(size)


def test_bytes_behind_the_last_box_are_left_out(tmp_path: Path) -> None:
    path = camera_clip(tmp_path / "dji.mp4")
    with path.open("ab") as file:
        file.write(b"\xff\xfe\xfd\xfc\xff\xfe\xfd\xfc" + PLACE.encode() * 3)
    copy, _ = stripped(path)
    assert PLACE.encode() not in copy.read_bytes()
    assert packets(copy) == packets(path)
