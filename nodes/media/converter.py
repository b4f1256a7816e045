"""Pictures of a clip's frames, by OpenCV and NumPy in strips that stay in the cache.

libswscale, which ComfyUI uses, darkens by up to a code and takes BT.601 where nothing is said.
"""

# OpenCV's and PyAV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import av
import cv2
import numpy as np
import numpy.typing as npt
import torch

from .colour import FULL, LIMITED, RGB, Colour, Plane, decoding_matrix, packed, planes_of
from .quantize import Floats, to_float

_STRIP = 1 << 17
"""Pixels that are converted together. Smaller strips cost more in calls than they save in the cache."""
_SUBSAMPLED = {"420": (True, True), "422": (True, False), "444": (False, False)}
_MOST_BITS = 12
"""Of subsampled components: eight times their codes are still 16 bits."""
_TOP = 65535

Codes = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Layout:
    """How a planar format holds its components.

    Attributes:
        across: there is one chroma sample for two columns.
        down: there is one chroma sample for two rows.
        bits: of a component.
        colourless: there is luma only.
    """

    across: bool
    down: bool
    bits: int
    colourless: bool = False

    @classmethod
    def of(cls, name: str) -> Layout | None:
        """That of a pixel format of FFmpeg's; ``None`` of those that are not handled here as they are."""
        name = name.removesuffix("le")
        gray = name.removeprefix("gray")
        if gray != name and (gray.isdigit() or not gray):
            return cls(False, False, int(gray or 8), colourless=True)
        for prefix in ("yuvj", "yuva", "yuv"):
            rest = name.removeprefix(prefix)
            bits = rest[4:] or "8"
            if rest[:3] in _SUBSAMPLED and rest[3:4] == "p" and bits.isdigit():
                across, down = _SUBSAMPLED[rest[:3]]
                if not across or int(bits) <= _MOST_BITS:
                    return cls(across, down, int(bits))
        return None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a sample in a plane."""
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)


class Converter:
    """Makes pictures of frames. It keeps working memory from frame to frame, so each thread needs its own."""

    def __init__(self, colour: Colour, *, exact: bool = True) -> None:
        """Make one.

        Args:
            colour: how the frames' codes are meant.
            exact: to 16 bits a channel, with chroma interpolated linearly, taken to lie on the left of its
                two pixels and between its two lines, which is the default of MPEG-2, H.264 and H.265.
                Otherwise each of its samples is repeated for all its pixels, which is faster.
        """
        self._colour = colour
        self._exact = exact
        self._strips: _Strips | None = None
        self._made_for: tuple[str, int] | None = None

    def convert(self, frame: av.VideoFrame, image: Floats) -> None:
        """Convert a frame. Blocking.

        Args:
            frame: as decoded, of 8 to 16 bits a component.
            image: [H, W, 3], where to put it as RGB of 0..1; contiguous.
        """
        if self._colour.matrix == RGB:
            _from_rgb(frame, image)
            return
        layout = Layout.of(frame.format.name)
        if layout is None:
            # A rare arrangement of the same codes; swscale only arranges them anew here.
            code = FULL if self._colour.full else LIMITED
            frame = frame.reformat(format="yuv444p16le", src_color_range=code, dst_color_range=code)
            layout = Layout(False, False, 16)
        rows = max(2, _STRIP // frame.width & ~1)
        made_for = frame.format.name, frame.width
        if self._strips is None or made_for != self._made_for:
            self._strips = _Strips(layout, self._colour, rows, frame.width, exact=self._exact)
            self._made_for = made_for
        planes = planes_of(frame, layout.dtype)
        for top in range(0, frame.height, rows):
            self._strips.convert(planes, top, image[top : top + rows])


class _Strips:
    """In 16 bits: sums of samples are exact, and what leaves 0..1 saturates for nothing."""

    def __init__(self, layout: Layout, colour: Colour, rows: int, width: int, *, exact: bool) -> None:
        self._layout = layout
        self._chroma = _codes(2, rows, width)
        weight = 1
        if layout.across and exact:
            self._larger: _Larger = _Interpolation(rows, width, down=layout.down)
            weight = 8 if layout.down else 2
        elif layout.across:
            self._larger = _Repetition(rows, width, layout.dtype, down=layout.down)
        self._chroma.fill(1 << (layout.bits - 1))
        self._matrix = decoding_matrix(colour, layout.bits, _TOP, weight)
        self._luma = _codes(rows, width)
        self._ycc, self._rgb = _codes(rows, width, 3), _codes(rows, width, 3)

    def convert(self, planes: Sequence[Plane], top: int, image: Floats) -> None:
        """Convert the rows from ``top`` on that ``picture`` has room for."""
        count = len(image)
        luma, ycc, rgb = self._luma[:count], self._ycc[:count], self._rgb[:count]
        np.copyto(luma, planes[0][top : top + count])
        cv2.merge([luma, *self._full_size(planes[1:3], top, count)], ycc)
        cv2.transform(ycc, self._matrix, rgb)
        np.multiply(rgb, np.float32(1 / _TOP), out=image, dtype=np.float32)

    def _full_size(self, planes: Sequence[Plane], top: int, count: int) -> Codes:
        """Chroma of these rows, as many times its codes as the matrix was made for, [2, rows, width]."""
        if self._layout.across:
            return self._larger.apply(planes, top, count)
        if not self._layout.colourless:
            for plane, codes in zip(planes, self._chroma, strict=True):
                np.copyto(codes[:count], plane[top : top + count])
        return self._chroma[:, :count]


class _Larger(Protocol):
    """Two chroma planes at the size of the luma plane."""

    def apply(self, planes: Sequence[Plane], top: int, count: int) -> Codes:
        """Rows of luma from ``top`` on: [2, count, width]."""
        ...


class _Interpolation:
    """Linear; what comes out is twice the codes, or eight times where also down."""

    def __init__(self, rows: int, width: int, *, down: bool) -> None:
        half = (width + 1) // 2
        self._width = width
        self._down = down
        # With a row of neighbours above and below, which interpolation between rows needs.
        count = rows // 2 + 2 if down else rows
        self._samples = _codes(2, count, half)
        self._twice, self._between = _codes(2, count, half), _codes(2, count, half)
        self._wide = _codes(2, count, 2 * half)
        if down:
            self._thrice = _codes(2, rows // 2, 2 * half)
            self._full = _codes(2, rows // 2, 2, 2 * half)

    def apply(self, planes: Sequence[Plane], top: int, count: int) -> Codes:
        if not self._down:
            for plane, samples in zip(planes, self._samples, strict=True):
                np.copyto(samples[:count], plane[top : top + count])
            return self._across()[:, :count, : self._width]
        self._load(planes, top // 2, (top + count + 1) // 2)
        wide = self._across()
        np.multiply(wide[:, 1:-1], np.uint16(3), out=self._thrice)
        np.add(self._thrice, wide[:, :-2], out=self._full[:, :, 0])
        np.add(self._thrice, wide[:, 2:], out=self._full[:, :, 1])
        return self._full.reshape(2, -1, wide.shape[2])[:, :count, : self._width]

    def _load(self, planes: Sequence[Plane], first: int, end: int) -> None:
        """Put rows and the one above and the one below them into place; the plane's edge is repeated."""
        for plane, samples in zip(planes, self._samples, strict=True):
            above, below = max(0, first - 1), min(len(plane), end + 1)
            np.copyto(samples[above - first + 1 : below - first + 1], plane[above:below])
            if first == 0:
                samples[0] = samples[1]
            if end == len(plane):
                samples[end - first + 1] = samples[end - first]

    def _across(self) -> Codes:
        samples = self._samples
        np.add(samples, samples, out=self._twice)
        np.add(samples[..., :-1], samples[..., 1:], out=self._between[..., :-1])
        self._between[..., -1] = self._twice[..., -1]
        half = samples.shape[2]
        pairs = [self._twice.reshape(-1, half), self._between.reshape(-1, half)]
        cv2.merge(pairs, self._wide.reshape(-1, half, 2))
        return self._wide


class _Repetition:
    """Each sample for all its pixels."""

    def __init__(self, rows: int, width: int, dtype: np.dtype[Any], *, down: bool) -> None:
        half = (width + 1) // 2
        self._width = width
        self._down = down
        self._twice: Plane = np.empty((rows, half, 2), dtype)
        self._full = _codes(2, rows, 2 * half)

    def apply(self, planes: Sequence[Plane], top: int, count: int) -> Codes:
        rows = slice(top // 2, (top + count + 1) // 2) if self._down else slice(top, top + count)
        for plane, full in zip(planes, self._full, strict=True):
            samples = plane[rows]
            twice = self._twice[: len(samples)]
            cv2.merge([samples, samples], twice)
            wide = twice.reshape(len(samples), -1)
            if self._down:
                full[: 2 * len(samples)].reshape(len(samples), 2, -1)[:] = wide[:, None]
            else:
                full[: len(samples)] = wide
        return self._full[:, :count, : self._width]


def _codes(*shape: int) -> Codes:
    # Zeros: what is left over of a strip is calculated along with the rest.
    return np.zeros(shape, np.uint16)


def _from_rgb(frame: av.VideoFrame, image: Floats) -> None:
    deep = any(component.bits > 8 for component in frame.format.components)
    rgb = frame.reformat(format="rgb48le" if deep else "rgb24")
    pixels = packed(rgb, np.dtype(np.uint16 if deep else np.uint8))
    to_float(np.ascontiguousarray(pixels), out=torch.from_numpy(image))
