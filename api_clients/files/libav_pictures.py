"""Pictures that libav decodes. Imported only where there is one of them, as libav takes long to import."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import av
from av.error import FFmpegError

from ..errors import RemoteUpscaleError
from .open_video import libav_damage_as

if TYPE_CHECKING:
    from .pixel_digest import Pixels

_PLAIN = {"monob": "gray", "ya8": "rgba", "ya16be": "rgba64be", "pal8": "rgba", "argb": "rgba"}
"""How FFmpeg's forms of pixels are brought to gray, RGB, or RGB and alpha, without changing a value."""


def read_pixels(data: bytes, kind: str) -> Pixels | None:
    """The pixels [H,W] or [H,W,C] of a PNG or a WebP as they are in it, a palette's in colour and with alpha.

    Args:
        data: the whole file.
        kind: ``png`` or ``webp``.

    Returns:
        ``None`` where they cannot be read, or not as whole numbers of 8 or 16 bits.
    """
    try:
        with av.open(io.BytesIO(data), mode="r", format=f"{kind}_pipe") as container:
            frame = next(container.decode(video=0))
            form = _PLAIN.get(frame.format.name)
            pixels = (frame.reformat(format=form) if form else frame).to_ndarray()
    except (FFmpegError, StopIteration, ValueError, MemoryError):
        return None
    return cast("Pixels", pixels) if str(pixels.dtype) in ("uint8", "uint16") else None


def decode_webp(data: bytes, error_of: Callable[[Exception], RemoteUpscaleError]) -> None:
    """Decode a still WebP and throw the pixels away.

    Not by Pillow: its WebP class applies the process-wide pixel limit even when used directly.

    Args:
        data: the whole file.
        error_of: makes our error of libav's, which is raised where it cannot be decoded.
    """
    with libav_damage_as(error_of):
        decoder = av.VideoCodecContext.create("webp", "r")
        decoder.thread_count = 1
        if not decoder.decode(av.Packet(data)):  # pyright: ignore[reportUnknownMemberType]
            raise ValueError("there is no picture in it")
