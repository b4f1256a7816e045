"""Draws the pack's icon and banner for the registry: ``docs/icon.png`` and ``docs/banner.png``.

Usage: python tools/artwork.py

A small picture of few pixels sends out waves and has become the large, smooth one behind it. Everything is
drawn four times as large and reduced. The banner's name is set in the first of ``FONTS`` that is installed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont

DOCS = Path(__file__).parents[1] / "docs"
ICON = 400
BANNER = (1680, 720)
FINER = 4
"""How many times larger everything is drawn."""

FONTS = ("NotoSansCJK-Bold.ttc", "Inter-Bold.ttf", "NotoSans-Bold.ttf", "DejaVuSans-Bold.ttf")
NAME = "Remote Upscale"
LINE = "for ComfyUI: exact, fast, and paid for once"

Colour = tuple[int, int, int]
Stops = Sequence[tuple[float, Colour]]
Box = tuple[float, float, float, float]

SKY: Stops = ((0, (30, 27, 94)), (0.34, (93, 63, 178)), (0.6, (232, 97, 140)), (0.8, (255, 180, 94)))
FAR: Stops = ((0, (111, 54, 140)), (1, (52, 34, 104)))
NEAR: Stops = ((0, (43, 30, 92)), (1, (22, 18, 56)))
CLOUD: Stops = ((0, (255, 255, 255)), (1, (255, 206, 214)))
INK = (18, 16, 46)
WHITE = (255, 255, 255)
MUTED = (196, 188, 232)


def main() -> None:
    """Draw both."""
    draw_icon().save(DOCS / "icon.png", optimize=True)
    draw_banner().save(DOCS / "banner.png", optimize=True)


def draw_icon() -> Image.Image:
    """A square with round corners on nothing."""
    side = ICON * FINER
    picture = become_large(scene((side, side)), (0.085, 0.915), 0.36, 7)
    picture.putalpha(rounded((side, side), (0, 0, side, side), side * 0.2))
    return picture.resize((ICON, ICON), Image.Resampling.LANCZOS)


def draw_banner() -> Image.Image:
    """The name on the left, and the icon's motif on the right."""
    width, height = (length * FINER for length in BANNER)
    banner = gradient((width, height), ((0, (24, 21, 66)), (1, INK)))
    side = round(height * 0.76)
    left, top = width - side - round(height * 0.12), (height - side) // 2
    glow = Image.new("L", (width, height))
    ImageDraw.Draw(glow).ellipse((left - side * 0.2, top, left + side * 1.2, top + side), fill=120)
    banner.paste((126, 62, 160), mask=blurred(glow, side / 4))
    rim = FINER * 1.5
    around = (left - rim, top - rim, left + side + rim, top + side + rim)
    banner.paste((132, 112, 190), mask=rounded(banner.size, around, side * 0.1 + rim))
    tile = become_large(scene((side, side)), (0.085, 0.915), 0.36, 7)
    banner.paste(tile, (left, top), rounded((side, side), (0, 0, side, side), side * 0.1))
    write(banner, height)
    return banner.resize(BANNER, Image.Resampling.LANCZOS)


def write(banner: Image.Image, height: int) -> None:
    """Put the name and a line below it on the left."""
    draw = ImageDraw.Draw(banner)
    # The R has more room on its left than the f.
    for text, x, y, size, colour in ((NAME, 0.131, 0.54, 0.155, WHITE), (LINE, 0.14, 0.65, 0.0525, MUTED)):
        draw.text((height * x, height * y), text, colour, font(height * size), anchor="ls")


def font(size: float) -> ImageFont.FreeTypeFont:
    """A good font of a size in pixels.

    Raises:
        SystemExit: none of them is installed.
    """
    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    raise SystemExit(f"None of these fonts is installed: {', '.join(FONTS)}.")


def become_large(picture: Image.Image, corner: tuple[float, float], share: float, pixels: int) -> Image.Image:
    """Put a small copy of a picture, of few pixels, into its lower left, with waves that go out from it.

    Args:
        picture: a square.
        corner: the small copy's lower left, in fractions of the side.
        share: the small copy's side, in fractions of the side.
        pixels: how many the small copy has on each side.
    """
    side = picture.width
    small = round(side * share)
    left, top = round(side * corner[0]), round(side * corner[1]) - small
    waves(picture, (left + small, top), small)
    rim = side * 0.022
    outside = (left - rim, top - rim, left + small + rim, top + small + rim)
    picture.paste(WHITE, mask=rounded(picture.size, outside, small * 0.14))
    copy = scene(picture.size).resize((pixels, pixels), Image.Resampling.BOX)
    copy = copy.resize((small, small), Image.Resampling.NEAREST)
    picture.paste(copy, (left, top), rounded((small, small), (0, 0, small, small), small * 0.07))
    return picture


def waves(picture: Image.Image, centre: tuple[float, float], radius: float) -> None:
    """Two parts of circles that grow fainter to the upper right."""
    thick = round(radius * 0.085)
    for number, strength in enumerate((255, 215)):
        reach = radius * (0.28 + 0.21 * number)
        mask = Image.new("L", picture.size)
        box = (centre[0] - reach, centre[1] - reach, centre[0] + reach, centre[1] + reach)
        draw = ImageDraw.Draw(mask)
        draw.arc(box, -75, -15, strength, thick)
        middle = reach - thick / 2
        for degrees in (-75, -15):
            x = centre[0] + middle * math.cos(math.radians(degrees))
            y = centre[1] + middle * math.sin(math.radians(degrees))
            draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), strength)
        picture.paste(WHITE, mask=mask)


def scene(size: tuple[int, int]) -> Image.Image:
    """Dusk over hills, with a low sun and a cloud."""
    width, height = size
    picture = gradient(size, SKY)
    x, y, radius = width * 0.8, height * 0.645, width * 0.105
    for reach, strength, blur in ((radius * 1.7, 110, radius * 0.5), (radius, 255, 0)):
        disc = Image.new("L", size)
        ImageDraw.Draw(disc).ellipse((x - reach, y - reach, x + reach, y + reach), strength)
        picture.paste((255, 236, 190), mask=blurred(disc, blur))
    picture.paste(gradient(size, CLOUD, 0.1, 0.4), mask=cloud(size))
    picture.paste(gradient(size, FAR, 0.66, 1), mask=hills(size, 0.73, 0.055, 1.1, 0.4))
    picture.paste(gradient(size, NEAR, 0.76, 1), mask=hills(size, 0.86, 0.06, 0.8, 2.6))
    return picture


def cloud(size: tuple[int, int]) -> Image.Image:
    """The shape of a cloud in the upper half."""
    width, height = size
    mask = Image.new("L", size)
    draw = ImageDraw.Draw(mask)
    for x, y, radius in ((0.47, 0.29, 0.085), (0.6, 0.225, 0.135), (0.745, 0.275, 0.095)):
        draw.ellipse(
            ((x - radius) * width, (y - radius) * height, (x + radius) * width, (y + radius) * height), 255
        )
    draw.rounded_rectangle((0.37 * width, 0.25 * height, 0.87 * width, 0.385 * height), 0.0675 * height, 255)
    return mask


def hills(size: tuple[int, int], level: float, swing: float, across: float, phase: float) -> Image.Image:
    """What lies below a horizon of some waves."""
    width, height = size
    edge = [
        (x, height * (level + swing * math.sin(phase + across * math.tau * x / width)))
        for x in range(0, width + 1, FINER)
    ]
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).polygon([*edge, (width, height), (0, height)], 255)
    return mask


def gradient(size: tuple[int, int], stops: Stops, start: float = 0, end: float = 1) -> Image.Image:
    """Colours from top to bottom; the first and the last reach as far as there is picture.

    Args:
        size: of the picture.
        stops: colours, each with where it is between ``start`` and ``end``.
        start: where the first colour is, in fractions of the height.
        end: where the stop 1 is.
    """
    width, height = size
    column = Image.new("RGB", (1, height))
    for y in range(height):
        column.putpixel((0, y), between((y / height - start) / (end - start), stops))
    return column.resize((width, height))


def between(place: float, stops: Stops) -> Colour:
    """The colour at a place among stops."""
    if place <= stops[0][0]:
        return stops[0][1]
    for (low, one), (high, other) in pairwise(stops):
        if place <= high:
            share = (place - low) / (high - low)
            red, green, blue = (round(a + share * (b - a)) for a, b in zip(one, other, strict=True))
            return red, green, blue
    return stops[-1][1]


def blurred(mask: Image.Image, radius: float) -> Image.Image:
    """A mask with soft edges, for which a sixteenth of the size is enough."""
    if not radius:
        return mask
    return mask.reduce(16).filter(ImageFilter.GaussianBlur(radius / 16)).resize(mask.size)


def rounded(size: tuple[int, int], box: Box, radius: float) -> Image.Image:
    """A mask of a box with round corners."""
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rounded_rectangle(box, radius, 255)
    return mask


if __name__ == "__main__":
    main()
