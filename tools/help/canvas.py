"""Layouts of before and after on a transparent ground, fit for light and dark pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw

from .shots import Box

_WIDTH = 520
"""ComfyUI shows the pages in a narrow column, about half as wide as this."""
_SHOWN = (320, 180)
_GAP = 8
_ARROW = 40
_SIGN = 56
_RADIUS = 8
_GRAY = (138, 148, 163, 255)
_WHITE = (255, 255, 255, 235)
_DARK = (23, 27, 34, 255)
_RED = (214, 69, 69, 255)
_FINE = 4
"""Shapes are drawn this many times larger, and then made smaller, for smooth edges."""
_POINTS = ((0.2, 0.3), (0.8, 0.3), (0.5, 0.75))


def tile(count: int, shape: float) -> tuple[int, int]:
    """The size of each picture of a row.

    Args:
        count: how many there are.
        shape: width divided by height.
    """
    width = (_WIDTH + _GAP) // count - _GAP
    return width, round(width / shape)


def cut(picture: Image.Image, view: Box | None, size: tuple[int, int]) -> Image.Image:
    """A part of a picture as it is to be shown: enlarged without smoothing, so that pixels can be told.

    The part is made narrower or lower about its middle where its shape is not that of ``size``.
    """
    left, upper, right, lower = view or (0.0, 0.0, 1.0, 1.0)
    width, height = (right - left) * picture.width, (lower - upper) * picture.height
    scale = max(size[0] / width, size[1] / height)
    half = size[0] / scale / 2, size[1] / scale / 2
    middle = (left + right) / 2 * picture.width, (upper + lower) / 2 * picture.height
    box = (middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1])
    how = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    return picture.resize(size, how, box=box)


def rows(before: Sequence[Image.Image], after: Sequence[Image.Image]) -> Image.Image:
    """Two rows, with an arrow from the upper to the lower one."""
    width, height = before[0].size
    page = _page(len(before) * (width + _GAP) - _GAP, 2 * height + _ARROW)
    _row(page, before, 0)
    _paste(page, _arrow(), ((page.width - _ARROW) // 2, height))
    _row(page, after, height + _ARROW)
    return page


def film(clip: Image.Image, strip: Sequence[Image.Image], *, clip_first: bool) -> Image.Image:
    """A clip and a strip of its frames, and an arrow from the upper to the lower one."""
    size = tile(len(strip), clip.width / clip.height)
    frames = [frame.resize(size, Image.Resampling.LANCZOS) for frame in strip]
    page = _page(len(strip) * (size[0] + _GAP) - _GAP, clip.height + _ARROW + size[1])
    above = clip.height if clip_first else size[1]
    _row(page, frames, above + _ARROW if clip_first else 0)
    _paste(page, _arrow(), ((page.width - _ARROW) // 2, above))
    _paste(page, clip, ((page.width - clip.width) // 2, 0 if clip_first else above + _ARROW))
    return page


def played(frame: Image.Image) -> Image.Image:
    """A frame with the sign for a clip on it."""
    shown = frame.resize(_SHOWN, Image.Resampling.LANCZOS).convert("RGBA")
    sign = _sign(_SIGN, _play)
    shown.alpha_composite(sign, ((_SHOWN[0] - _SIGN) // 2, (_SHOWN[1] - _SIGN) // 2))
    return shown


def failed(picture: Image.Image) -> Image.Image:
    """A picture with a cross on it."""
    shown = picture.convert("RGBA")
    shown.alpha_composite(_sign(_SIGN, _cross), ((shown.width - _SIGN) // 2, (shown.height - _SIGN) // 2))
    return shown


def _page(width: int, height: int) -> Image.Image:
    return Image.new("RGBA", (width, height), (0, 0, 0, 0))


def _row(page: Image.Image, pictures: Sequence[Image.Image], upper: int) -> None:
    for number, picture in enumerate(pictures):
        _paste(page, picture, (number * (picture.width + _GAP), upper))


def _paste(page: Image.Image, picture: Image.Image, place: tuple[int, int]) -> None:
    """Put a picture there; one without alpha gets round corners."""
    if picture.mode != "RGBA" or picture.getextrema()[3][0] == 255:
        picture = picture.convert("RGB")
        picture.putalpha(_rounded(picture.size))
    page.alpha_composite(picture, place)


def _rounded(size: tuple[int, int]) -> Image.Image:
    mask = Image.new("L", (size[0] * _FINE, size[1] * _FINE), 0)
    box = (0, 0, mask.width - 1, mask.height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, _RADIUS * _FINE, fill=255)
    return mask.resize(size, Image.Resampling.LANCZOS)


def _sign(side: int, draw: Callable[[ImageDraw.ImageDraw, int], None]) -> Image.Image:
    shape = _page(side * _FINE, side * _FINE)
    draw(ImageDraw.Draw(shape), side * _FINE)
    return shape.resize((side, side), Image.Resampling.LANCZOS)


def _arrow() -> Image.Image:
    def draw(onto: ImageDraw.ImageDraw, side: int) -> None:
        onto.polygon([(x * side, y * side) for x, y in _POINTS], fill=_GRAY)

    return _sign(_ARROW, draw)


def _play(onto: ImageDraw.ImageDraw, side: int) -> None:
    onto.ellipse((0, 0, side - 1, side - 1), fill=_WHITE)
    onto.polygon([(0.38 * side, 0.27 * side), (0.38 * side, 0.73 * side), (0.76 * side, 0.5 * side)], _DARK)


def _cross(onto: ImageDraw.ImageDraw, side: int) -> None:
    onto.ellipse((0, 0, side - 1, side - 1), fill=_RED)
    near, far = 0.32 * side, 0.68 * side
    for line in ((near, near, far, far), (near, far, far, near)):
        onto.line(line, fill=_WHITE, width=side // 10)
