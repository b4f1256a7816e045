"""Thumbnails for ComfyUI's template browser: the subject before and after, divided by a line.

"Before" is the subject at half or a quarter of its size, enlarged again by nearest neighbour; "after" is the
subject as it is. So the pictures show what a graph is about, and no provider's result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

SIZE = (640, 360)
_MEDIA = Path(__file__).parents[2] / "demo" / "media"
_WHITE = (255, 255, 255)
_QUALITY = 84
Box = tuple[float, float, float, float]

_FACE: Box = (0.12, 0.04, 0.78, 0.80)
_EYES: Box = (0.20, 0.22, 0.62, 0.58)
_NOSE: Box = (0.30, 0.30, 0.70, 0.64)
_EAR: Box = (0.02, 0.0, 0.52, 0.44)
_FUR: Box = (0.22, 0.62, 0.42, 0.92)


def draw_thumbnail(name: str, path: Path) -> None:
    """Write a workflow's thumbnail.

    Args:
        name: the workflow's.
        path: where to, a JPEG.
    """
    picture = _DRAWN[name]()
    picture.save(path, quality=_QUALITY, optimize=True, progressive=True)


def _photo(box: Box, size: tuple[int, int] = SIZE) -> Image.Image:
    with Image.open(_MEDIA / "cat.png") as image:
        return _cut(image.convert("RGB"), box, size)


def _frame(number: int, box: Box = (0, 0, 1, 1), size: tuple[int, int] = SIZE) -> Image.Image:
    with av.open(str(_MEDIA / "cat.mp4")) as clip:
        for index, frame in enumerate(clip.decode(video=0)):
            if index == number:
                return _cut(frame.to_image(), box, size)
    raise ValueError(f"The clip has no frame {number}.")


def _cut(image: Image.Image, box: Box, size: tuple[int, int]) -> Image.Image:
    pixels = tuple(round(part * side) for part, side in zip(box, image.size * 2, strict=True))
    left, top, right, bottom = pixels
    return ImageOps.fit(image.crop((left, top, right, bottom)), size, Image.Resampling.LANCZOS)


def _coarse(image: Image.Image, times: int) -> Image.Image:
    small = image.resize((image.width // times, image.height // times), Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.NEAREST)


def _beside(parts: list[Image.Image]) -> Image.Image:
    """Pictures of one size, each showing its own strip of the scene, divided by white lines."""
    whole = parts[0].copy()
    draw = ImageDraw.Draw(whole)
    for number, part in enumerate(parts[1:], 1):
        left = whole.width * number // len(parts)
        whole.paste(part.crop((left, 0, *part.size)), (left, 0))
    for number in range(1, len(parts)):
        left = whole.width * number // len(parts)
        draw.rectangle((left - 2, 0, left + 1, whole.height), fill=_WHITE)
    return whole


def _before_after(image: Image.Image, times: int = 10) -> Image.Image:
    return _beside([_coarse(image, times), image])


def _film(image: Image.Image) -> Image.Image:
    """A picture between two rows of perforations."""
    draw = ImageDraw.Draw(image)
    for top in (0, image.height - 30):
        draw.rectangle((0, top, image.width, top + 30), fill=(12, 12, 14))
        for left in range(14, image.width, 40):
            draw.rounded_rectangle((left, top + 8, left + 20, top + 22), 4, fill=(225, 225, 228))
    return image


def _texture(side: int) -> Image.Image:
    """Fur that tiles: mirrored both ways, so that every edge meets itself."""
    quarter = _photo(_FUR, (side // 2, side // 2))
    tile = Image.new("RGB", (side, side))
    for left, top, part in (
        (0, 0, quarter),
        (side // 2, 0, ImageOps.mirror(quarter)),
        (0, side // 2, ImageOps.flip(quarter)),
        (side // 2, side // 2, ImageOps.flip(ImageOps.mirror(quarter))),
    ):
        tile.paste(part, (left, top))
    return tile


def _tiled(side: int) -> Image.Image:
    tile = _texture(side)
    whole = Image.new("RGB", SIZE)
    for left in range(0, SIZE[0], side):
        for top in range(0, SIZE[1], side):
            whole.paste(tile, (left, top))
    return whole


def _one_of_many() -> Image.Image:
    """Tiles of a texture, the middle one of which is framed."""
    whole = _tiled(180)
    ImageDraw.Draw(whole).rectangle((180, 90, 360, 270), outline=_WHITE, width=4)
    return whole


def _graded() -> Image.Image:
    frame = _frame(30)
    graded = ImageEnhance.Brightness(ImageEnhance.Contrast(frame).enhance(1.25)).enhance(1.08)
    return _film(_beside([_coarse(frame, 10), frame, ImageEnhance.Color(graded).enhance(1.25)]))


def _stack() -> Image.Image:
    """A folder of pictures: coarse ones above, fine ones below."""
    whole = Image.new("RGB", SIZE, (24, 24, 28))
    width, height, gap = 196, 162, 13
    for column, box in enumerate((_FACE, _EYES, _EAR)):
        picture = _photo(box, (width, height))
        left = gap + column * (width + gap)
        whole.paste(_coarse(picture, 9), (left, gap))
        whole.paste(picture, (left, height + 2 * gap - 1))
    return whole


def _generated() -> Image.Image:
    """Noise, then a coarse picture, then a fine one."""
    image = _photo(_FACE)
    noise = Image.effect_noise((SIZE[0] // 4, SIZE[1] // 4), 90).resize(SIZE, Image.Resampling.NEAREST)
    return _beside([Image.blend(noise.convert("RGB"), image, 0.25), _coarse(image, 8), image])


def _in_three_steps() -> Image.Image:
    image = _photo(_EYES)
    return _beside([_coarse(image, 16), _coarse(image, 5), image])


def _two_models() -> Image.Image:
    image = _photo(_FACE)
    sharp = ImageEnhance.Sharpness(image).enhance(2.5)
    return _beside([image, ImageEnhance.Color(sharp).enhance(1.1)])


def _refined() -> Image.Image:
    image = _photo(_NOSE)
    return _beside([_coarse(image, 8), image, ImageEnhance.Sharpness(image).enhance(3)])


_DRAWN: Mapping[str, Callable[[], Image.Image]] = {
    "image-seedvr2-3b-pixazo": lambda: _before_after(_photo(_FACE)),
    "image-seedvr2-7b-pixazo": lambda: _before_after(_photo(_EYES), 16),
    "image-crystal-pixazo": lambda: _before_after(_photo(_NOSE), 12),
    "image-upscaler-apixo": lambda: _before_after(_photo(_EAR), 12),
    "image-seedvr2-fal": lambda: _before_after(_photo((0.0, 0.0, 1.0, 1.0)), 8),
    "image-seamless-fal": lambda: _before_after(_tiled(180), 8),
    "video-seedvr2-3b-pixazo": lambda: _film(_before_after(_frame(10), 10)),
    "video-topaz-pixazo": lambda: _film(_before_after(_frame(50), 10)),
    "chain-local-esrgan-then-remote": _in_three_steps,
    "chain-generate-then-upscale": _generated,
    "chain-upscale-then-refine": _refined,
    "chain-video-upscale-then-grade": _graded,
    "chain-seamless-texture-tiled": _one_of_many,
    "chain-two-models-side-by-side": _two_models,
    "chain-folder-headless": _stack,
}
