"""Between RGB and the Y'CbCr planes of clips, by OpenCV with matrices of our own.

libswscale, which ComfyUI uses, darkens by up to a code and takes BT.601 where nothing is said.
"""

# OpenCV's and PyAV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import av
import cv2
import numpy as np
import numpy.typing as npt
import torch
from av.video.reformatter import VideoReformatter

from ...api_clients.errors import InvalidInput
from .quantize import Floats, to_float, to_uint8

Plane: TypeAlias = npt.NDArray[Any]

BT709 = 1
LIMITED = 1
FULL = 2
_RGB = 0
_LUMA = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
"""Weights of red and blue by the number of the matrix in ITU-T H.273."""
_NAMES = {1: "BT.709", 4: "FCC", 5: "BT.601", 7: "SMPTE 240M", 9: "BT.2020"}
_SAME_AS = {6: 5}
_UNSAID = {2, 3}
_HIGH_DEFINITION = 720
_HDR = {16: "PQ", 18: "HLG"}
_STRIP = 40
"""Rows that are converted together, even: their intermediate results stay in the cache."""
_SUBSAMPLED = {"420": (1, 1), "422": (1, 0), "444": (0, 0)}


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


def to_frame(picture: torch.Tensor) -> av.VideoFrame:
    """One picture as a frame of BT.709 Y'CbCr of limited range. Blocking.

    Chroma is the mean of each 2 x 2 pixels, which is the inverse of the repetition that most decoders do.
    An odd width or height, which 4:2:0 cannot express, makes a frame of 4:4:4.

    Args:
        picture: [H, W, 3] of 0..1, any floating-point type; NaN counts as 0.
    """
    height, width = picture.shape[:2]
    halved = height % 2 == 0 and width % 2 == 0
    frame = av.VideoFrame(width, height, "yuv420p" if halved else "yuv444p")
    luma, *chroma = _planes(frame, np.dtype(np.uint8))
    for top in range(0, height, _STRIP):
        strip = picture[top : top + _STRIP]
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
        if decoder.color_trc in _HDR:
            raise InvalidInput(
                f"The clip is HDR ({_HDR[decoder.color_trc]}); pictures here are SDR, 0 to 1.",
                hint="Convert it to SDR (BT.709) with a tone-mapping tool first.",
            )
        full = frame.color_range == FULL or frame.format.name.startswith("yuvj")
        if frame.format.is_rgb:
            return cls(_RGB, full=True)
        notes: list[str] = []
        matrix = _SAME_AS.get(frame.colorspace, frame.colorspace)
        if matrix in _UNSAID:
            matrix = BT709 if frame.height >= _HIGH_DEFINITION else 5
            notes.append(
                f"The clip does not say its colour matrix; {_NAMES[matrix]} was taken, as is usual for "
                f"{frame.height} lines."
            )
        if matrix not in _LUMA:
            raise InvalidInput(
                f"The clip's colour matrix (number {matrix} of H.273) is not supported.",
                hint="Convert it to BT.709 first.",
            )
        if decoder.color_primaries == 9:
            notes.append("The clip's primaries are BT.2020; they were kept, not converted to sRGB's.")
        return cls(matrix, full, tuple(notes))


def to_picture(frame: av.VideoFrame, colour: Colour, picture: Floats) -> None:
    """A frame as RGB of 0..1, exact to float32. Blocking.

    8 to 16 bits a component are used as they are. Chroma is interpolated linearly, taken to lie on the left
    of its two pixels and between its two lines, which is the default of MPEG-2, H.264 and H.265.

    Args:
        frame: as decoded.
        colour: how its codes are meant.
        picture: [H, W, 3], where to put it, contiguous.
    """
    if colour.matrix == _RGB:
        _from_rgb(frame, picture)
        return
    layout = _layout(frame.format)
    if layout is None:
        # A rare arrangement of the same codes; swscale only arranges them anew here.
        code = FULL if colour.full else LIMITED
        frame = frame.reformat(format="yuv444p16le", src_color_range=code, dst_color_range=code)
        layout = (0, 0, 16)
    across, down, bits = layout
    scale, offset = _codes(bits, colour.full)
    matrix = np.linalg.inv(_to_ycc(*_LUMA[colour.matrix])) / scale
    decode = _with_offset(matrix, -matrix @ offset)
    planes = _planes(frame, np.dtype(np.uint8 if bits == 8 else np.uint16))
    neutral = 1 << (bits - 1)
    for top in range(0, frame.height, _STRIP):
        bottom = min(top + _STRIP, frame.height)
        luma = _as_float(planes[0][top:bottom])
        if len(planes) > 1:
            rows = slice(top, bottom)
            chroma = [_chroma(plane, rows, (across, down))[:, : frame.width] for plane in planes[1:3]]
        else:
            chroma = [np.full_like(luma, neutral)] * 2
        strip = picture[top:bottom]
        cv2.transform(cv2.merge([luma, *chroma]), decode, strip)
        flat = strip.reshape(len(strip), -1)
        np.clip(flat, 0, 1, out=flat)


def to_picture_fast(
    frame: av.VideoFrame, colour: Colour, picture: Floats, reformatter: VideoReformatter
) -> None:
    """As ``to_picture``, in 8 bits and by libswscale, which is about one code too dark. Blocking."""
    rgb = reformatter.reformat(
        frame,
        format="rgb24",
        src_colorspace=colour.matrix or None,
        src_color_range=FULL if colour.full else LIMITED,
        dst_color_range=FULL,
    )
    pixels = _packed(rgb, np.dtype(np.uint8))
    to_float(np.ascontiguousarray(pixels), out=torch.from_numpy(picture))


def _layout(kind: av.VideoFormat) -> tuple[int, int, int] | None:
    """Whether chroma is halved across and down, and the bits, of planar formats; ``None`` of all others."""
    name = kind.name.removesuffix("le")
    for prefix in ("yuvj", "yuva", "yuv"):
        rest = name.removeprefix(prefix)
        if rest != name and rest[:3] in _SUBSAMPLED and rest[3:4] == "p":
            bits = rest[4:] or "8"
            return (*_SUBSAMPLED[rest[:3]], int(bits)) if bits.isdigit() else None
    if name.removeprefix("gray").isdigit() or name == "gray":
        return 0, 0, int(name.removeprefix("gray") or 8)
    return None


def _planes(frame: av.VideoFrame, dtype: np.dtype[Any]) -> list[Plane]:
    return [
        np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)[:, : plane.width]
        for plane in frame.planes
    ]


def _packed(frame: av.VideoFrame, dtype: np.dtype[Any]) -> Plane:
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), dtype).reshape(frame.height, plane.line_size // dtype.itemsize)
    return rows[:, : frame.width * 3].reshape(frame.height, frame.width, 3)


def _from_rgb(frame: av.VideoFrame, picture: Floats) -> None:
    deep = any(component.bits > 8 for component in frame.format.components)
    packed = frame.reformat(format="rgb48le" if deep else "rgb24")
    pixels = _packed(packed, np.dtype(np.uint16 if deep else np.uint8))
    to_float(np.ascontiguousarray(pixels), out=torch.from_numpy(picture))


def _as_float(plane: Plane) -> Floats:
    return plane.astype(np.float32)


def _chroma(plane: Plane, wanted: slice, halved: tuple[int, int]) -> Floats:
    """Rows of a chroma plane at the size of the luma plane, or a column wider."""
    across, down = halved
    top, bottom = wanted.start, wanted.stop
    # Where lines are between, with a line of neighbours on both sides, which interpolation needs.
    first = max(0, top // 2 - 1) if down else top
    rows = _as_float(plane[first : bottom // 2 + 2] if down else plane[wanted])
    if across:
        following = np.empty_like(rows)
        following[:, :-1], following[:, -1] = rows[:, 1:], rows[:, -1]
        between = cv2.addWeighted(rows, 0.5, following, 0.5, 0)
        rows = cast("Floats", cv2.merge([rows, between])).reshape(len(rows), -1)
    if down:
        size = rows.shape[1], 2 * len(rows)
        rows = cast("Floats", cv2.resize(rows, size, interpolation=cv2.INTER_LINEAR))
        rows = rows[top - 2 * first : bottom - 2 * first]
    return rows
