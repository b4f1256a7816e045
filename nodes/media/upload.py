"""Pictures as they are uploaded: lossless where that fits, otherwise as close to it as the limit allows."""

# OpenCV's and PyAV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
import cv2
import numpy as np
import torch

from ...api_clients.errors import InvalidInput
from ...api_clients.models import Limits
from .parallel import available_threads
from .png import STRIP, check_image, encode_png
from .quantize import Bytes, to_uint8

Format = Literal["png", "webp", "jpeg"]

JPEG_QUALITIES = (98, 95, 92, 90, 85, 80)
"""Tried in this order; below the last one the upscaler would enlarge visible artefacts."""
_LONGEST_WEBP = 16383
_LONGEST_JPEG = 65535
_SUFFIXES: dict[Format, str] = {"png": ".png", "webp": ".webp", "jpeg": ".jpg"}
_NAMES: dict[Format, str] = {"png": "PNG", "webp": "lossless WebP", "jpeg": "JPEG 4:4:4"}


@dataclass(frozen=True)
class Encoded:
    """A picture ready for upload.

    Attributes:
        data: the file.
        format: what it is.
        suffix: ending of its name, with the dot.
        note: in words what had to be adapted; empty where it is simply PNG.
    """

    data: bytes
    format: Format
    suffix: str
    note: str = ""


def encode_for_upload(image: torch.Tensor, limits: Limits, *, threads: int | None = None) -> Encoded:
    """A picture in the best format that a model takes and that fits. Blocking.

    PNG first; where it has too many bytes, lossless WebP, then JPEG without chroma subsampling in falling
    quality. JPEG is not tried with four channels, because it cannot hold alpha.

    Args:
        image: [H,W,C] of 0..1, C = 3 or 4.
        limits: formats and size that the model takes.
        threads: for PNG; ``None`` for one a core.

    Raises:
        InvalidInput: nothing fits; names the limit, and the size of everything that was tried.
    """
    tried: list[str] = []
    for data, kind, name in _attempts(image, limits.formats, threads):
        if limits.max_bytes is None or len(data) <= limits.max_bytes:
            return Encoded(data, kind, _SUFFIXES[kind], _note(tried, name, len(data), limits))
        tried.append(f"{name} {_size(len(data))}")
    sizes = f": {', '.join(tried)}" if tried else ""
    limit = f"at most {_size(limits.max_bytes)}" if limits.max_bytes is not None else "any size"
    raise InvalidInput(
        f"A picture of {image.shape[1]} x {image.shape[0]} pixels cannot be sent as the model accepts it "
        f"({', '.join(limits.formats)} of {limit}){sizes}.",
        hint="Make the picture smaller, or cut it into tiles." if tried else "Use another model.",
    )


def encoded_at_once(image: torch.Tensor) -> int:
    """How many pictures of that size are best encoded at the same time; with one, it takes all cores itself.

    Large pictures keep all cores busy each, and one after the other the first is there sooner.

    Args:
        image: one of them, [H,W,C].
    """
    cores = available_threads()
    return 1 if image.numel() >= 2 * cores * STRIP else cores


def _attempts(
    image: torch.Tensor, formats: tuple[str, ...], threads: int | None
) -> Iterator[tuple[bytes, Format, str]]:
    """Files of falling quality, made one by one: data, format, name for people."""
    height, width, channels = check_image(image)
    longest = max(height, width)
    if "png" in formats:
        yield encode_png(image, threads=threads), "png", _NAMES["png"]
    if "webp" in formats and longest <= _LONGEST_WEBP:
        yield encode_webp(to_uint8(image)), "webp", _NAMES["webp"]
    if "jpeg" in formats and longest <= _LONGEST_JPEG and channels == 3:
        pixels = to_uint8(image)
        cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR, dst=pixels)
        for quality in JPEG_QUALITIES:
            yield _jpeg(pixels, quality), "jpeg", f"{_NAMES['jpeg']} quality {quality}"


def encode_webp(pixels: Bytes) -> bytes:
    """Lossless WebP by its fastest method. Blocking. What is fully transparent may lose its colour.

    Args:
        pixels: [H,W,3] or [H,W,4], red first, no side above 16383.
    """
    height, width, channels = pixels.shape
    frame = av.VideoFrame(width, height, "bgra")
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(height, plane.line_size)
    kind = cv2.COLOR_RGB2BGRA if channels == 3 else cv2.COLOR_RGBA2BGRA
    rows[:, : 4 * width] = cv2.cvtColor(pixels, kind).reshape(height, 4 * width)
    frame.pts = 0
    context = av.VideoCodecContext.create("libwebp", "w")
    context.width, context.height = width, height
    context.pix_fmt = "bgra"
    context.time_base = Fraction(1)
    context.options = {"lossless": "1", "compression_level": "0", "quality": "0"}
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def _jpeg(pixels: Bytes, quality: int) -> bytes:
    settings = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    return cv2.imencode(".jpg", pixels, settings)[1].tobytes()


def _note(tried: list[str], name: str, size: int, limits: Limits) -> str:
    if not tried and name == _NAMES["png"]:
        return ""
    if limits.max_bytes is None or not tried:
        return f"Sent as {name} ({_size(size)}): the model does not accept PNG."
    return (
        f"Sent as {name} ({_size(size)}), because the model accepts at most {_size(limits.max_bytes)}; "
        f"tried and too large: {', '.join(tried)}."
    )


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count:,} bytes"
