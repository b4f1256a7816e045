"""Between floats of 0..1 and integers, exactly and in one pass over the memory."""

# torch's and OpenCV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
from __future__ import annotations

import math
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import torch

from ...api_clients.errors import InvalidInput

Bytes: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float32]

_BLOCK = 1 << 19
"""Values looked at together: 2 MiB of floats are still in the cache when they are read again."""
_SAFE = 1e6
"""Beyond about 2**31 / 255 the conversion to integers would wrap."""
_TABLE: Floats = np.arange(256, dtype=np.float32) / np.float32(255)


def to_uint8(image: torch.Tensor | npt.NDArray[Any], out: Bytes | None = None) -> Bytes:
    """Values of 0..1 to 0..255, rounded to the nearest and clamped. Blocking.

    NaN becomes 0, positive infinity 255, negative infinity 0. Nothing but the result is allocated, apart from
    blocks of a few MiB for what is not a contiguous float32 array in main memory.

    Args:
        image: any shape, any floating-point type, any strides, any device.
        out: where to put it: contiguous, of the same shape.

    Returns:
        The same shape, contiguous.

    Raises:
        InvalidInput: it holds no floating-point numbers.
    """
    source = image.detach() if isinstance(image, torch.Tensor) else np.asarray(image)
    if isinstance(source, torch.Tensor):
        floating = source.is_floating_point()
        if source.device.type == "cpu" and source.dtype == torch.float32 and source.is_contiguous():
            source = source.numpy()
    else:
        floating = np.issubdtype(source.dtype, np.floating)
    if not floating:
        raise InvalidInput(
            f"A picture holds {source.dtype} instead of floating-point numbers.", hint="Convert it to 0..1."
        )
    result = np.empty(tuple(source.shape), np.uint8) if out is None else out
    _check(result, tuple(source.shape), np.uint8)
    _quantize(source, result)
    return result


def to_float(pixels: npt.NDArray[Any], out: torch.Tensor | None = None) -> torch.Tensor:
    """Integers to exactly v / 255, or v / 65535 for 16 bits. Blocking.

    Args:
        pixels: uint8 or uint16, any shape and strides.
        out: where to put it: contiguous float32 in main memory, of the same shape.

    Returns:
        float32, the same shape.

    Raises:
        InvalidInput: it is neither uint8 nor uint16.
    """
    if pixels.dtype not in {np.dtype(np.uint8), np.dtype(np.uint16)}:
        raise InvalidInput(f"A picture holds {pixels.dtype} instead of 8 or 16 bits.")
    values: Floats = np.empty(pixels.shape, np.float32) if out is None else out.numpy()
    _check(values, pixels.shape, np.float32)
    if pixels.dtype == np.uint16:
        np.divide(pixels, np.float32(65535), out=values, dtype=np.float32)
    else:
        _look_up(pixels, values)
    return torch.from_numpy(values) if out is None else out


def _check(array: npt.NDArray[Any], shape: tuple[int, ...], dtype: type) -> None:
    if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
        raise ValueError(f"out must be a contiguous {dtype.__name__} array of shape {shape}")


def _quantize(source: torch.Tensor | npt.NDArray[Any], result: Bytes) -> None:
    if not result.size:
        return
    if isinstance(source, np.ndarray) and source.dtype == np.float32 and source.flags.c_contiguous:
        flat, into = source.reshape(-1), result.reshape(-1)
        for start in range(0, flat.size, _BLOCK):
            _quantize_block(flat[start : start + _BLOCK], into[start : start + _BLOCK])
    elif result.size <= _BLOCK:
        _quantize_block(_contiguous(source).reshape(-1), result.reshape(-1))
    else:
        rows = max(1, _BLOCK // (result.size // len(result)))
        for start in range(0, len(result), rows):
            part = slice(start, start + rows)
            if len(result) == 1:
                _quantize(source[0], result[0])
            else:
                _quantize(source[part], result[part])


def _contiguous(source: torch.Tensor | npt.NDArray[Any]) -> Floats:
    if isinstance(source, torch.Tensor):
        return source.to("cpu", torch.float32).contiguous().numpy()
    with np.errstate(over="ignore"):  # a float64 too large for float32 becomes infinity, which is white
        return np.ascontiguousarray(source, np.float32)


def _quantize_block(values: Floats, result: Bytes) -> None:
    if not values.max() <= _SAFE:
        values = np.clip(np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)
    # As one row: OpenCV goes through it in one run. The second operand counts nothing.
    row = values.reshape(1, -1)
    cv2.addWeighted(row, 255.0, row, 0.0, 0.0, dst=result.reshape(1, -1), dtype=cv2.CV_8U)


def _look_up(pixels: npt.NDArray[Any], values: Floats) -> None:
    if not pixels.size:
        return
    if pixels.flags.c_contiguous:
        # As many rows as there are: OpenCV shares them out among its threads.
        rows = (-1, math.prod(pixels.shape[-2:]))
        cv2.LUT(pixels.reshape(rows), _TABLE, dst=values.reshape(rows))
        return
    if pixels.size <= _BLOCK or pixels.ndim == 1:
        _look_up(np.ascontiguousarray(pixels), values)
        return
    for part, into in zip(pixels, values, strict=True):
        _look_up(part, into)
