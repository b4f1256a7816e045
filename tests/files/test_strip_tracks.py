"""Clips from cameras: what they tell besides picture and sound is gone, and nothing else is changed."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from remote_upscale.api_clients.files.probe import probe
from remote_upscale.api_clients.files.strip import without_metadata

pytestmark = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="FFmpeg's programs are not installed"
)

PLACE = "GPS(11.575,48.137,520)"
PRIVATE = [PLACE, "a phone with a name", "where we were", "02:02:02:02", "someone's app"]
DATES = ["2020-02-02", "2020:02:02"]
SAID = ("The clip's subtitles were not uploaded, so the result has none.",)
CHAPTERS = f";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1\nSTART=0\nEND=1\ntitle=where we were {PLACE}\n"
SUBTITLES = "".join(
    f"{n + 1}\n00:00:0{n},000 --> 00:00:0{n},900\n{PLACE} {'x' * n * 300}\n\n" for n in range(3)
)


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def camera_clip(path: Path, *options: str, subtitles: str | None = "mov_text") -> Path:
    """A clip with sound whose every field tells where, when or by whom it was filmed."""
    folder = path.parent
    (folder / "t.srt").write_text(SUBTITLES)
    (folder / "chapters.txt").write_text(CHAPTERS)
    told = subtitles is not None
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=3", "-f", "lavfi", "-i", "sine=d=3"),
        *("-i", folder / "t.srt", "-i", folder / "chapters.txt"),
        *("-map", "0", "-map", "1", *(("-map", "2", "-c:s", subtitles or "") if told else ())),
        *("-map_chapters", "3", "-pix_fmt", "yuv420p", "-g", "5"),
        *("-metadata", "creation_time=2020-02-02T02:02:02Z", "-metadata", "encoder=someone's app"),
        *("-metadata:s:v", "handler_name=a phone with a name", "-metadata:s:a", "title=a phone with a name"),
        *options,
        path,
    )
    return path


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


def told(path: Path) -> str:
    """Everything that FFmpeg and, where it is installed, ExifTool tell about a file."""
    shown = subprocess.run(
        [
            *("ffprobe", "-v", "error", "-show_format", "-show_streams", "-show_chapters", "-of", "json"),
            path.name,
        ],
        cwd=path.parent,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    if shutil.which("exiftool"):
        shown += subprocess.run(
            ["exiftool", "-a", "-u", "-ee3", "-G1", "--File:all", "--System:all", path.name],
            cwd=path.parent,
            check=False,
            capture_output=True,
        ).stdout.decode(errors="replace")
    return shown


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
    before = told(path)
    assert "a phone with a name" in before or name.endswith("avi")
    copy, notes = stripped(path)
    content = copy.read_bytes()
    assert len(content) == path.stat().st_size
    for words in PRIVATE:
        assert words.encode() not in content
    assert not [words for words in [*PRIVATE, *DATES] if words in told(copy)]
    assert streams(copy) == ["video", "audio"]
    assert notes == (SAID if subtitles else ())
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
    assert notes == SAID
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
