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
Pixels: TypeAlias = npt.NDArray[Any]
"""Integers, uint8 or uint16."""

_BLOCK = 1 << 19
"""Values looked at together: 2 MiB of floats are still in the cache when they are read again."""
_UNSHARED = 1 << 15
"""Values that torch converts without sharing them out; its threads would wait for one another each time."""
_PAGE = 4096
"""Bytes of the smallest page of memory."""
_SAFE = 1e6
"""Beyond about 2**31 / 255 the conversion to integers would wrap."""
_TABLE: Floats = np.arange(256, dtype=np.float32) / np.float32(255)


def to_uint8(image: torch.Tensor | npt.NDArray[Any], out: Bytes | None = None) -> Bytes:
    """Values of 0..1 to 0..255, rounded to the nearest and clamped. Blocking.

    NaN becomes 0, positive infinity 255, negative infinity 0. Nothing but the result is allocated, apart from
    a few MiB for what is not a contiguous float32 array in main memory.

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
    if not result.size:
        return result
    if isinstance(source, np.ndarray) and source.dtype == np.float32 and source.flags.c_contiguous:
        flat, into = source.reshape(-1), result.reshape(-1)
        for start in range(0, flat.size, _BLOCK):
            _round(flat[start : start + _BLOCK], into[start : start + _BLOCK])
    else:
        _quantize(source, result, np.empty(min(result.size, _BLOCK) * 4 // 3, np.float32))
    return result


def new_floats(*shape: int) -> torch.Tensor:
    """Memory for float32 values, by NumPy: it asks for large pages, which are filled in half the time."""
    return torch.from_numpy(np.empty(shape, np.float32))


def prefault(floats: torch.Tensor) -> None:
    """Touch new memory, so that the system provides most of its pages now and not one by one later. Blocking.

    The last quarter is left to be touched later: codecs hold their bytes twice, which is half of the floats.

    Args:
        floats: contiguous, in main memory; their values do not matter and are changed.
    """
    flat = floats.numpy().reshape(-1)
    flat[: flat.size * 3 // 4 : _PAGE // 4] = 0


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
    result = new_floats(*pixels.shape) if out is None else out
    values: Floats = result.numpy()
    _check(values, pixels.shape, np.float32)
    if pixels.dtype == np.uint16:
        np.divide(pixels, np.float32(65535), out=values, dtype=np.float32)
    else:
        _look_up(pixels, values)
    return result


def _check(array: npt.NDArray[Any], shape: tuple[int, ...], dtype: type) -> None:
    if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
        raise ValueError(f"out must be a contiguous {dtype.__name__} array of shape {shape}")


def _quantize(source: torch.Tensor | npt.NDArray[Any], result: Bytes, scratch: Floats) -> None:
    """Values of any type and layout, a block at a time."""
    if result.size <= _BLOCK:
        _quantize_block(source, result, scratch)
    elif len(result) == 1:
        _quantize(source[0], result[0], scratch)
    else:
        rows = max(1, _BLOCK // (result.size // len(result)))
        for start in range(0, len(result), rows):
            part = slice(start, start + rows)
            _quantize(source[part], result[part], scratch)


def _quantize_block(source: torch.Tensor | npt.NDArray[Any], result: Bytes, scratch: Floats) -> None:
    """Values are read in the order in which memory has them; what is left to turn are bytes."""
    wide = _with_fourth(source)
    if wide is not None:
        four = np.empty(tuple(wide.shape), np.uint8)
        _quantize_block(wide, four, scratch)
        cv2.cvtColor(four, cv2.COLOR_RGBA2RGB, dst=result)
        return
    order = _memory_order(source)
    turned = source.permute(order) if isinstance(source, torch.Tensor) else source.transpose(order)
    values = scratch[: result.size].reshape(tuple(turned.shape))
    _copy(turned, values)
    if order == tuple(range(len(order))):
        _round(values.reshape(-1), result.reshape(-1))
        return
    small = np.empty(values.shape, np.uint8)
    _round(values.reshape(-1), small.reshape(-1))
    _turn_back(small, order, result)


def _with_fourth(source: torch.Tensor | npt.NDArray[Any]) -> torch.Tensor | None:
    """Three channels out of four, as ``image[..., :3]`` has them, with the fourth: it is faster with it."""
    if not isinstance(source, torch.Tensor) or source.ndim != 3 or source.shape[2] != 3:
        return None
    stride = source.stride()
    last = sum((count - 1) * step for count, step in zip(source.shape, stride, strict=True))
    behind = (source.storage_offset() + last + 2) * source.element_size()
    if stride[1:] != (4, 1) or behind > source.untyped_storage().nbytes():
        return None
    return source.as_strided((*source.shape[:2], 4), stride)


def _memory_order(source: torch.Tensor | npt.NDArray[Any]) -> tuple[int, ...]:
    """The axes, from the one with the longest step in memory to the one with the shortest."""
    steps = source.stride() if isinstance(source, torch.Tensor) else source.strides
    # An axis that is expanded or has one element has no step; it is best where it is.
    real = [n for n, step in enumerate(steps) if step and source.shape[n] > 1]
    sorted_axes = iter(sorted(real, key=lambda n: -abs(steps[n])))
    return tuple(next(sorted_axes) if n in real else n for n in range(len(steps)))


def _copy(source: torch.Tensor | npt.NDArray[Any], values: Floats) -> None:
    if isinstance(source, torch.Tensor):
        if source.device.type != "cpu":
            torch.from_numpy(values).copy_(source)
            return
        if source.dtype not in {torch.float32, torch.float64}:
            _convert(source, torch.from_numpy(values))
            return
        source = source.numpy()
    whole = source.ndim > 1 and source.shape[-1] in {3, 4} and source.strides[-1] == values.itemsize
    if whole and source.dtype == np.float32:
        pixel = np.dtype((np.void, source.shape[-1] * values.itemsize))
        np.copyto(values.view(pixel), source.view(pixel))
        return
    with np.errstate(over="ignore"):  # a float64 too large for float32 becomes infinity, which is white
        np.copyto(values, source, casting="unsafe")


def _convert(source: torch.Tensor, values: torch.Tensor) -> None:
    if source.is_contiguous() and source.ndim > 1:
        source, values = source.reshape(-1), values.reshape(-1)
    if source.numel() <= _UNSHARED:
        values.copy_(source)
        return
    rows = max(1, _UNSHARED * len(source) // source.numel())
    for start in range(0, len(source), rows):
        part = start if rows == 1 else slice(start, start + rows)
        _convert(source[part], values[part])


def _turn_back(small: Bytes, order: tuple[int, ...], result: Bytes) -> None:
    """Bytes with the axes of ``result`` in another order to where they belong."""
    if order == (2, 0, 1) and len(small) in {3, 4}:
        cv2.merge(tuple(small), dst=result)
    elif order == (1, 0, 2) and small.shape[2] in {3, 4}:
        cv2.transpose(small, dst=result)
    else:
        np.copyto(result, small.transpose(np.argsort(order)))


def _round(values: Floats, result: Bytes) -> None:
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
