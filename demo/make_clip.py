"""Makes ``media/cat.mp4`` from ``media/cat.png``: two seconds of a slow pan and zoom, with a soft chord.

Run it with the project's own environment: ``.venv/bin/python demo/make_clip.py``. It needs nothing but PyAV
and Pillow. The rate is the broadcast one, 30000/1001 frames a second, and the camera moves by fractions of a
pixel, so a rounded rate, a lost frame or a lost sound track shows.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image

MEDIA = Path(__file__).parent / "media"
SIZE = (480, 270)
RATE = Fraction(30_000, 1001)
FRAMES = 60
SAMPLE_RATE = 48_000
SAMPLES = int(FRAMES / RATE * SAMPLE_RATE)  # 96096: exactly as long as the picture
CHORD = ((220.0, 0.3), (277.18, 0.5), (329.63, 0.6), (440.0, 0.7))
"""Hertz, and place between left (0) and right (1), of each note: A major."""
START = (8.0, 28.0, 440.0)
END = (74.0, 34.0, 352.0)
"""Left edge, upper edge and width in pixels of the part of the photograph that is seen, first and last."""
BT709 = 1


def frames() -> Iterator[av.VideoFrame]:
    """The pictures, in order, as BT.709 limited-range YUV 4:2:0."""
    with Image.open(MEDIA / "cat.png") as opened:
        photograph = opened.convert("RGB")
    for number in range(FRAMES):
        eased = (1 - math.cos(math.pi * number / (FRAMES - 1))) / 2
        left, upper, width = (a + (b - a) * eased for a, b in zip(START, END, strict=True))
        box = (left, upper, left + width, upper + width * SIZE[1] / SIZE[0])
        seen = photograph.resize(SIZE, Image.Resampling.BICUBIC, box=box)
        frame = av.VideoFrame.from_image(seen).reformat(
            format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
        )
        frame.pts = number
        frame.time_base = 1 / RATE
        yield frame


def sound(frame_size: int) -> Iterator[av.AudioFrame]:
    """The chord in stereo, fading in and out, in frames of at most ``frame_size`` samples."""
    for start in range(0, SAMPLES, frame_size):
        count = min(frame_size, SAMPLES - start)
        frame = av.AudioFrame(format="fltp", layout="stereo", samples=count)
        for side, plane in enumerate(frame.planes):
            samples = array("f", (sample(start + offset, side) for offset in range(count)))
            plane.update(samples.tobytes().ljust(plane.buffer_size, b"\0"))
        frame.sample_rate = SAMPLE_RATE
        frame.pts = start
        frame.time_base = Fraction(1, SAMPLE_RATE)
        yield frame


def sample(number: int, side: int) -> float:
    """One sample, from -1 to 1; ``side`` is 0 for the left channel and 1 for the right."""
    fade = math.sin(math.pi * number / SAMPLES) ** 2
    notes = (
        (place if side else 1 - place) * math.sin(2 * math.pi * pitch * number / SAMPLE_RATE)
        for pitch, place in CHORD
    )
    return 0.25 * fade * sum(notes)


def main() -> None:
    """Write the clip."""
    with av.open(MEDIA / "cat.mp4", "w", options={"movflags": "+faststart"}) as clip:
        picture = clip.add_stream("libx264", rate=RATE, options={"crf": "20", "preset": "veryslow"})
        picture.width, picture.height = SIZE
        picture.pix_fmt = "yuv420p"
        picture.time_base = 1 / RATE
        context = picture.codec_context
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = 1  # limited
        tone = clip.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        tone.bit_rate = 96_000
        tone.open()
        for frame in frames():
            clip.mux(picture.encode(frame))
        clip.mux(picture.encode(None))
        for part in sound(tone.codec_context.frame_size):
            clip.mux(tone.encode(part))
        clip.mux(tone.encode(None))


if __name__ == "__main__":
    main()
