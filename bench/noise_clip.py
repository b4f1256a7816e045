"""Makes a large clip quickly, and tells whether two clips hold the same pictures.

    python bench/noise_clip.py make PATH BYTES
    python bench/noise_clip.py digest PATH

A second of noise is encoded without loss, every frame on its own, and then written again and again.
"""

from __future__ import annotations

import hashlib
import os
import sys
from fractions import Fraction
from pathlib import Path

import av

SIZE = (1280, 720)
RATE = 30


def make(path: Path, length: int) -> None:
    """Write an MP4 file of about ``length`` bytes."""
    with av.open(path, "w") as clip:
        stream = clip.add_stream("libx264", rate=RATE, options={"crf": "0", "preset": "ultrafast"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 1
        stream.time_base = Fraction(1, RATE)
        second = [packet for number in range(RATE) for packet in stream.encode(noise(number))]
        second += stream.encode(None)
        pictures = [bytes(packet) for packet in second]
        for number in range(length // (sum(map(len, pictures)) // RATE)):
            packet = av.Packet(pictures[number % RATE])
            packet.stream = stream
            packet.time_base = Fraction(1, RATE)
            packet.pts = packet.dts = number
            packet.duration = 1
            packet.is_keyframe = True
            clip.mux(packet)


def noise(number: int) -> av.VideoFrame:
    """A frame that does not compress."""
    frame = av.VideoFrame(*SIZE, "yuv420p")
    for plane in frame.planes:
        plane.update(os.urandom(plane.buffer_size))
    frame.pts = number
    frame.time_base = Fraction(1, RATE)
    return frame


def digest(path: Path) -> str:
    """SHA-256 over a clip's encoded pictures and their times."""
    total = hashlib.sha256()
    with av.open(path) as clip:
        for packet in clip.demux(video=0):
            total.update(f"{packet.pts}".encode())
            total.update(packet)
    return total.hexdigest()


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        print(digest(Path(sys.argv[2])))
