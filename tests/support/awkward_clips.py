"""Clips of the kinds that are hard to read, made by ffmpeg, each frame of which shows its number."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT = 240, 48
_STEP = 3
_X264 = ("-c:v", "libx264", "-preset", "fast", "-bf", "2", "-b_strategy", "0", "-g", "10")
_X265_OPEN = "log-level=error:crf=4:keyint=10:min-keyint=10:scenecut=0:pools=1"
_X264_OPEN = "open-gop=1:bframes=3:scenecut=0"

ENCODED = {
    "b-frames.mp4": _X264,
    "b-frames.avi": ("-c:v", "libx264", "-bf", "2", "-b_strategy", "0", "-g", "250"),
    "divx.avi": ("-c:v", "mpeg4", "-bf", "2", "-g", "12"),
    "motion-jpeg.avi": ("-c:v", "mjpeg"),
    "open-265.mp4": ("-c:v", "libx265", "-x265-params", _X265_OPEN),
    "open-264.mov": ("-c:v", "libx264", "-crf", "4", "-g", "10", "-x264-params", _X264_OPEN),
    "open-264.mkv": ("-c:v", "libx264", "-crf", "4", "-g", "10", "-x264-params", _X264_OPEN),
    "mpeg2.mkv": ("-c:v", "mpeg2video", "-g", "8", "-bf", "2"),
    "mpeg2.avi": ("-c:v", "mpeg2video", "-g", "8", "-bf", "2"),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-b:v", "200k", "-auto-alt-ref", "1", "-lag-in-frames", "16"),
    "late.mkv": (*_X264, "-output_ts_offset", "2"),
    "late.mp4": (*_X264, "-output_ts_offset", "2"),
    "fragments.mp4": (*_X264, "-movflags", "frag_keyframe+empty_moov"),
}
"""Name of a clip, and how it is encoded."""
CUT = {
    "b-frames.mp4": ("mp4", "mkv"),
    "b-frames.avi": ("avi",),
    "open-265.mp4": ("mp4", "mkv"),
    "open-264.mov": ("mov", "mkv"),
    "mpeg2.mkv": ("mkv",),
    "mpeg2.avi": ("avi",),
}
"""Clips that are cut without encoding, and into which containers."""
EDITED = ("b-frames.mp4", "open-265.mp4", "open-264.mov")
"""Clips of which an edit list shows a part."""


def ffmpeg(*arguments: object) -> bytes:
    """Run it; what it writes to standard output."""
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def encode(path: Path, *codec: str, rate: str = "10", seconds: float = 3, change: str = "") -> Path:
    """A clip with a bar that moves by 3 pixels with each frame; ``change`` is a filter of frames."""
    sources = (f"color={colour}:s={size}x{HEIGHT}:r={rate}:d={seconds}" for colour, size in _COLOURS)
    moved = f"overlay=x='{_STEP}*mod(n,70)':eval=frame,format=yuv420p" + (f",{change}" if change else "")
    inputs = [part for source in sources for part in ("-f", "lavfi", "-i", source)]
    ffmpeg(*inputs, "-filter_complex", moved, "-fps_mode", "passthrough", *codec, path)
    return path


_COLOURS = (("black", WIDTH), ("white", 8))


def two_passes(path: Path) -> Path:
    """VP8 with frames that are never shown."""
    log = path.with_suffix("")
    for number in ("1", "2"):
        options = ("-auto-alt-ref", "1", "-lag-in-frames", "20", "-b:v", "250k", "-passlogfile", str(log))
        encode(path, "-c:v", "libvpx", *options, "-pass", number, rate="25")
    return path


def from_second_key(source: Path, target: Path) -> Path:
    """A clip from its second key frame on, with the pictures that are stored behind it but shown before."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        video = given.streams.video[0]
        copy = made.add_stream_from_template(video)
        keys, shift = 0, None
        for packet in given.demux(video):
            keys += packet.is_keyframe
            if packet.dts is None or keys < 2:
                continue
            shift = packet.dts if shift is None else shift
            packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, copy
            made.mux(packet)
    return target


def show_a_part(source: Path, target: Path, start: float, seconds: float) -> Path:
    """An MP4 or MOV all of whose samples stay, while its edit lists show a part of them."""
    data = bytearray(source.read_bytes())
    (movie,) = _find(data, 0, len(data), "moov", "mvhd")
    clock = int.from_bytes(data[movie + 20 : movie + 24], "big")
    for track, end in _boxes(data, *_inside(data, "moov"), "trak"):
        (header,) = _find(data, track + 8, end, "mdia", "mdhd")
        (edits,) = _find(data, track + 8, end, "edts", "elst")
        ticks = int.from_bytes(data[header + 20 : header + 24], "big")
        first = struct.unpack_from(">i", data, edits + 20)[0]
        struct.pack_into(">Ii", data, edits + 16, round(seconds * clock), first + round(start * ticks))
    target.write_bytes(data)
    return target


def _inside(data: bytearray, name: str) -> tuple[int, int]:
    start, end = next(_boxes(data, 0, len(data), name))
    return start + 8, end


def _boxes(data: bytearray, start: int, end: int, name: str) -> Iterator[tuple[int, int]]:
    while start + 8 <= end:
        length, found = struct.unpack_from(">I4s", data, start)
        if found == name.encode():
            yield start, start + length
        start += length


def _find(data: bytearray, start: int, end: int, *names: str) -> Iterator[int]:
    for at, stop in _boxes(data, start, end, names[0]):
        if len(names) == 1:
            yield at
        else:
            yield from _find(data, at + 8, stop, *names[1:])


def shown_by_ffmpeg(path: Path) -> list[int]:
    """Where the bar is in each frame that ffmpeg shows."""
    raw = ffmpeg(
        "-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-"
    )
    return places(np.frombuffer(raw, np.uint8).reshape(-1, HEIGHT, WIDTH, 1))


def places(images: np.ndarray) -> list[int]:
    """Where the bar is in pictures [N, H, W, C]; by a pixel it may be off."""
    return [round(int(row.argmax()) / _STEP) for row in images[:, 8:40, :, 0].astype(float).mean(1)]
