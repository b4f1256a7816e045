"""Clips that tell where, when and by whom they were filmed, and what programs find in a file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

PLACE = "GPS(11.575,48.137,520)"
PRIVATE = [PLACE, "+48.137", "a phone with a name", "where we were", "02:02:02:02", "someone's app"]
DATES = ["2020-02-02", "2020:02:02"]
SUBTITLES_LEFT_OUT = ("The clip's subtitles were not uploaded, so the result has none.",)
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
        *("-metadata", f"title=where we were {PLACE}", "-metadata", "location=+48.137+011.575/"),
        *("-metadata:s:v", "handler_name=a phone with a name", "-metadata:s:a", "title=a phone with a name"),
        *options,
        path,
    )
    return path


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
