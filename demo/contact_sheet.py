"""Draws one picture that shows, for every result, a part of the input beside the same part of the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageFont

Box = tuple[float, float, float, float]
Place = tuple[float, float]

WIDTH = 1600
MARGIN = 56
GUTTER = 28
COLUMNS = 2
PADDING = 22
CARD = ((WIDTH - 2 * MARGIN - GUTTER) // COLUMNS, 380)
GAP = 10
CROP = ((CARD[0] - 2 * PADDING - GAP) // 2, 232)
HEAD = 236
FOOT = 84
LEAST_ENLARGED = 3.0
MOST_ENLARGED = 5.0
EYE = (0.375, 0.385)
EYE_MIDWAY = (0.335, 0.385)
"""Where the cat's eye is in the photograph, and in the clip's middle frame, in fractions of the sides."""

PAPER = "#0e1116"
SURFACE = "#171b22"
LINE = "#262c36"
BRIGHT = "#f0f3f7"
MUTED = "#98a2b1"
AMBER = "#f3b950"
PROVIDER = {"pixazo": "#7da7ff", "apixo": "#69d4a6", "fal": "#ff8f85"}


@dataclass(frozen=True)
class Media:
    """A picture, or the middle frame of a clip, and what there is to say about its sound and rate."""

    picture: Image.Image
    facts: str
    eye: Place


@dataclass(frozen=True)
class Entry:
    """What the sheet tells about one run."""

    model: str
    settings: str
    source: Path
    result: Path
    seconds: float
    cost: str


def read_media(path: Path) -> Media:
    """Decode a picture, or the middle frame of a clip."""
    if path.suffix != ".mp4":
        with Image.open(path) as picture:
            facts = f"{picture.format}, {path.stat().st_size / 1e6:.1f} MB"
            return Media(picture.convert("RGB"), facts, EYE)
    with av.open(path) as clip:
        picture, sound = clip.streams.video[0], clip.streams.audio[0]
        rate = picture.average_rate
        frames = [frame for number, frame in enumerate(clip.decode(picture)) if number <= picture.frames // 2]
        length = float(sound.duration * sound.time_base)
        codec = sound.codec_context.name.upper()
        facts = f"{picture.frames} frames at {rate}, {codec} {sound.rate // 1000} kHz {length:.3f} s"
        return Media(frames[-1].to_image(), facts, EYE_MIDWAY)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own typeface, so that the sheet looks the same everywhere."""
    return ImageFont.load_default(size)


def crops(before: Image.Image, after: Image.Image, centre: Place) -> tuple[Image.Image, Image.Image]:
    """The same part of both, at the result's own resolution where that is no too narrow or wide view."""
    enlarged = min(max(after.width / before.width, LEAST_ENLARGED), MOST_ENLARGED)
    part = (CROP[0] / enlarged / before.width, CROP[1] / enlarged / before.height)
    left, upper = (middle - side / 2 for middle, side in zip(centre, part, strict=True))
    box = (left, upper, left + part[0], upper + part[1])
    return cut(before, box, Image.Resampling.NEAREST), cut(after, box, Image.Resampling.LANCZOS)


def cut(picture: Image.Image, box: Box, how: Image.Resampling) -> Image.Image:
    """The part of a picture inside ``box``, given in fractions of its sides, in the size of a cell."""
    sides = (picture.width, picture.height) * 2
    left, upper, right, lower = (fraction * side for fraction, side in zip(box, sides, strict=True))
    return picture.resize(CROP, how, box=(left, upper, right, lower))


def rounded(picture: Image.Image, radius: int = 8) -> Image.Image:
    """A mask with round corners for a picture."""
    mask = Image.new("L", (picture.width * 4, picture.height * 4), 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, mask.width - 1, mask.height - 1), radius * 4, fill=255)
    return mask.resize(picture.size, Image.Resampling.LANCZOS)


class Sheet:
    """The page that the cards are drawn on."""

    def __init__(self, cards: int) -> None:
        rows = -(-cards // COLUMNS)
        self.page = Image.new("RGB", (WIDTH, HEAD + rows * (CARD[1] + GUTTER) - GUTTER + FOOT), PAPER)
        self.draw = ImageDraw.Draw(self.page)

    def text(self, place: Place, words: str, size: int, colour: str, anchor: str = "ls") -> float:
        """Write words on a base line; returns where they end."""
        self.draw.text(place, words, colour, font(size), anchor)
        return place[0] + self.draw.textlength(words, font(size))

    def head(self) -> None:
        """The title, and in plain sight what the pictures are not."""
        self.text((MARGIN, 88), "Remote Upscale", 46, BRIGHT)
        self.text((MARGIN, 128), "Eight models, a photograph and a clip, from a file to a file", 22, MUTED)
        box = (MARGIN, 156, WIDTH - MARGIN, 208)
        self.draw.rounded_rectangle(box, 10, fill="#2a2213", outline="#5b4720")
        self.draw.ellipse((MARGIN + 20, 176, MARGIN + 32, 188), fill=AMBER)
        notice = (
            "Sandbox: every result was enlarged with Lanczos on this machine, not by the provider's model."
        )
        self.text((MARGIN + 46, 189), notice, 20, AMBER)

    def card(self, number: int, entry: Entry) -> None:
        """Draw one run."""
        left = MARGIN + number % COLUMNS * (CARD[0] + GUTTER)
        upper = HEAD + number // COLUMNS * (CARD[1] + GUTTER)
        box = (left, upper, left + CARD[0], upper + CARD[1])
        self.draw.rounded_rectangle(box, 14, fill=SURFACE, outline=LINE)
        source, result = read_media(entry.source), read_media(entry.result)
        self.titles((left + PADDING, upper + 40), entry, right=left + CARD[0] - PADDING)
        for side, picture in enumerate(crops(source.picture, result.picture, source.eye)):
            place = (left + PADDING + side * (CROP[0] + GAP), upper + 66)
            self.page.paste(picture, place, rounded(picture))
            self.tag(place, ("before", "after")[side])
        self.facts((left + PADDING, upper + 331), entry, source, result, right=left + CARD[0] - PADDING)

    def titles(self, place: Place, entry: Entry, right: float) -> None:
        """The model, and what was asked of it."""
        provider, _, name = entry.model.partition("/")
        end = self.text(place, f"{provider} / ", 24, PROVIDER.get(provider, BRIGHT))
        self.text((end, place[1]), name, 24, BRIGHT)
        self.text((right, place[1]), entry.settings, 17, MUTED, "rs")

    def tag(self, place: Place, word: str) -> None:
        """A small label in the corner of a crop."""
        width = self.draw.textlength(word, font(15)) + 20
        left, upper = place[0] + 10, place[1] + CROP[1] - 36
        self.draw.rounded_rectangle((left, upper, left + width, upper + 26), 13, fill=PAPER)
        self.text((left + width / 2, upper + 13), word, 15, BRIGHT, "mm")

    def facts(self, place: Place, entry: Entry, source: Media, result: Media, right: float) -> None:
        """Sizes, time and cost; for clips also what became of the rate and the sound."""
        sizes = [f"{media.picture.width} x {media.picture.height}" for media in (source, result)]
        end = self.text(place, f"{sizes[0]}  to  ", 19, MUTED)
        self.text((end, place[1]), sizes[1], 19, BRIGHT)
        self.text((right, place[1]), f"{entry.seconds:.1f} s     {entry.cost}", 19, BRIGHT, "rs")
        below = (place[0], place[1] + 28)
        kept = source.facts == result.facts
        self.text(below, f"{result.facts}: as in the input" if kept else result.facts, 16, MUTED)

    def foot(self) -> None:
        """How to read the sheet."""
        words = (
            "Before: the input's own pixels, enlarged without smoothing.  "
            "After: the same part of the result.  "
            "Photograph: Chelsea by Stefan van der Walt, CC0."
        )
        self.text((MARGIN, self.page.height - 36), words, 17, MUTED)


def draw_sheet(entries: Sequence[Entry], path: Path) -> None:
    """Draw all runs on one page and write it as PNG."""
    sheet = Sheet(len(entries))
    sheet.head()
    for number, entry in enumerate(entries):
        sheet.card(number, entry)
    sheet.foot()
    sheet.page.save(path, optimize=True)
