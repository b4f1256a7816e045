"""How the codes of clips are meant, and pictures as frames of them."""

# OpenCV's and PyAV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import av
import cv2
import numpy as np
import numpy.typing as npt
import torch

from ...api_clients.errors import InvalidInput
from .quantize import Floats, to_uint8

Plane: TypeAlias = npt.NDArray[Any]

BT709 = 1
LIMITED = 1
FULL = 2
RGB = 0
_LUMA = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
"""Weights of red and blue by the number of the matrix in ITU-T H.273."""
_NAMES = {1: "BT.709", 4: "FCC", 5: "BT.601", 7: "SMPTE 240M", 9: "BT.2020"}
_SAME_AS = {6: 5}
_UNSAID = {2, 3}
_HIGH_DEFINITION = 720
_PALETTES = frozenset({"pal8", "monoblack", "monowhite"})
HDR = {16: "PQ", 18: "HLG"}
"""Transfers of HDR by their number in ITU-T H.273."""
_STRIP = 40
"""Rows that are converted together, even: their intermediate results stay in the cache."""


def _to_ycc(red: float, blue: float) -> npt.NDArray[np.float64]:
    """The 3 x 3 matrix from RGB to Y' of 0..1 and Cb, Cr of -0.5..0.5."""
    luma = np.array([red, 1 - red - blue, blue])
    cb = (np.array([0, 0, 1]) - luma) / (2 - 2 * blue)
    cr = (np.array([1, 0, 0]) - luma) / (2 - 2 * red)
    return np.stack([luma, cb, cr])


def _with_offset(matrix: npt.NDArray[np.float64], offset: npt.NDArray[np.float64]) -> Floats:
    return np.hstack([matrix, offset[:, None]]).astype(np.float32)


def _codes(bits: int, full: bool) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Scale and offset of the three components, in codes."""
    if full:
        top = (1 << bits) - 1
        return np.array([top, top, top], np.float64), np.array([0, 1 << (bits - 1), 1 << (bits - 1)])
    unit = 1 << (bits - 8)
    return np.array([219, 224, 224]) * float(unit), np.array([16, 128, 128]) * float(unit)


_SCALE, _OFFSET = _codes(8, full=False)
_ENCODE = _with_offset(_to_ycc(*_LUMA[BT709]) * _SCALE[:, None] / 255, _OFFSET)


def to_frame(image: torch.Tensor) -> av.VideoFrame:
    """One picture as a frame of BT.709 Y'CbCr of limited range. Blocking.

    Chroma is the mean of each 2 x 2 pixels, which is the inverse of the repetition that most decoders do.
    An odd width or height, which 4:2:0 cannot express, makes a frame of 4:4:4.

    Args:
        image: [H, W, 3] of 0..1, any floating-point type; NaN counts as 0.
    """
    height, width = image.shape[:2]
    halved = height % 2 == 0 and width % 2 == 0
    frame = av.VideoFrame(width, height, "yuv420p" if halved else "yuv444p")
    luma, *chroma = planes_of(frame, np.dtype(np.uint8))
    for top in range(0, height, _STRIP):
        strip = image[top : top + _STRIP]
        codes = cv2.transform(to_uint8(strip), _ENCODE).reshape(*strip.shape)
        cv2.extractChannel(codes, 0, luma[top : top + _STRIP])
        rows = slice(top, top + _STRIP)
        if halved:
            codes = cv2.resize(codes, (width // 2, len(codes) // 2), interpolation=cv2.INTER_AREA)
            codes = codes.reshape(-1, width // 2, 3)
            rows = slice(top // 2, top // 2 + len(codes))
        for channel, plane in enumerate(chroma, 1):
            cv2.extractChannel(codes, channel, plane[rows])
    frame.colorspace, frame.color_range = BT709, LIMITED  # PyAV 16.0 has no more of it at a frame
    return frame


def tag_encoder(encoder: Any) -> None:
    """Say of what an encoder makes that it is BT.709 of limited range."""
    encoder.colorspace = encoder.color_primaries = encoder.color_trc = BT709
    encoder.color_range = LIMITED


@dataclass(frozen=True)
class Colour:
    """How the codes of a clip's frames are meant.

    Attributes:
        matrix: its number in ITU-T H.273; 0 is RGB.
        full: whether the codes use the whole range.
        notes: what was assumed or is not converted, as sentences.
    """

    matrix: int
    full: bool
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, frame: av.VideoFrame, decoder: av.VideoCodecContext) -> Colour:
        """What a frame says of itself, and what is assumed where it says nothing.

        Args:
            frame: decoded.
            decoder: of the frame; it says what PyAV 16.0 does not say of frames.

        Raises:
            InvalidInput: it is HDR, or its matrix is none that can be inverted here.
        """
        if decoder.color_trc in HDR:
            raise InvalidInput(
                f"The clip is HDR ({HDR[decoder.color_trc]}); pictures here are SDR, 0 to 1.",
                hint="Convert it to SDR (BT.709) with a tone-mapping tool first.",
            )
        full = frame.color_range == FULL or frame.format.name.startswith("yuvj")
        if frame.format.is_rgb or frame.format.name in _PALETTES:
            return cls(RGB, full=True)
        if frame.format.name.startswith("gray"):
            # Luma alone is the same in every matrix, and whoever says nothing means the whole range.
            return cls(BT709, full=frame.color_range != LIMITED)
        notes: list[str] = []
        matrix = _SAME_AS.get(frame.colorspace, frame.colorspace)
        if matrix in _UNSAID:
            matrix = BT709 if frame.height >= _HIGH_DEFINITION else 5
            notes.append(
                f"The clip does not state its colour matrix; {_NAMES[matrix]} was assumed, as is usual for "
                f"{frame.height} lines."
            )
        if matrix not in _LUMA:
            raise InvalidInput(
                f"The clip's colour matrix (number {matrix} of H.273) is not supported.",
                hint="Convert it to BT.709 first.",
            )
        if decoder.color_primaries == 9:
            notes.append("The clip's primaries are BT.2020; they were kept and not converted to sRGB.")
        return cls(matrix, full, tuple(notes))


def decoding_matrix(colour: Colour, bits: int, top: int, weight: int) -> Floats:
    """The 3 x 4 matrix from codes of luma and chroma to RGB of 0..``top``.

    Args:
        colour: how the codes are meant.
        bits: of a code.
        top: white.
        weight: how many times its codes chroma is.
    """
    scale, offset = _codes(bits, colour.full)
    matrix = np.linalg.inv(_to_ycc(*_LUMA[colour.matrix])) / scale
    shift = -matrix @ offset
    return _with_offset(matrix / [1, weight, weight] * top, shift * top)


def planes_of(frame: av.VideoFrame, dtype: np.dtype[Any]) -> list[Plane]:
    """A frame's planes [H, W], without copying."""
    return [
        np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)[:, : plane.width]
        for plane in frame.planes
    ]


def packed(frame: av.VideoFrame, dtype: np.dtype[Any]) -> Plane:
    """The only plane of a frame of packed RGB, [H, W, 3], without copying."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), dtype).reshape(frame.height, plane.line_size // dtype.itemsize)
    return rows[:, : frame.width * 3].reshape(frame.height, frame.width, 3)
