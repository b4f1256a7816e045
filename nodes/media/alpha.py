"""Alpha: kept back before a picture is sent, and put back to the result."""

# torch's and OpenCV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import torch

from .quantize import Floats, Pixels

Mask: TypeAlias = npt.NDArray[np.bool_]

_VISIBLE = 0.5 / 255
"""Below this alpha is 0 in 8 bits, and the colour can be anything."""
_EXACT = 1e-5
"""How far interpolation may miss 0 or 1 by rounding alone; far below one code of 16 bits."""
_NO_COLOUR = 0.5
_TINY = np.float32(1e-12)


def with_channels(pixels: Pixels, channels: int) -> Pixels:
    """Alpha left out, or an opaque one added, where there are not three or four channels as wanted.

    Args:
        pixels: [H,W,3] or [H,W,4], uint8 or uint16.
        channels: 3 or 4.
    """
    have = pixels.shape[2]
    if have == channels:
        return pixels
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA if channels > have else cv2.COLOR_RGBA2RGB)


def split_alpha(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """A batch's colours, fit to be seen without alpha, and its alpha. Blocking.

    What is fully transparent takes the colour of what is visible around it, so that neither an old
    background nor a hard edge bleeds into the upscaled picture. All other pixels stay exactly as they are.

    Args:
        image: [B,H,W,C] of 0..1, C = 3 or 4.

    Returns:
        [B,H,W,3], and [B,H,W] or ``None`` where there are only three channels.
    """
    if image.shape[-1] != 4:
        return image, None
    alpha = image[..., 3]
    colours = image[..., :3].to("cpu", torch.float32, copy=True).contiguous()
    for one, opacity in zip(colours.numpy(), alpha.to("cpu", torch.float32).numpy(), strict=True):
        _fill(one, opacity >= _VISIBLE)
    return colours, alpha


def join_alpha(image: torch.Tensor, alpha: torch.Tensor) -> None:
    """Give a result the alpha of its source, scaled to the result's size. Blocking.

    Alpha stays within 0..1; 0 and 1 are exact where the source was 0 or 1 all around.

    Args:
        image: [H',W',4], float32 in main memory; its alpha is replaced.
        alpha: [H,W] of 0..1; NaN counts as 0.
    """
    height, width = image.shape[:2]
    values: Floats = alpha.detach().to("cpu", torch.float32, copy=True).contiguous().numpy()
    np.clip(np.nan_to_num(values, copy=False), 0, 1, out=values)
    if values.shape != (height, width):
        smaller = height <= values.shape[0] and width <= values.shape[1]
        # Cubic overshoots at edges, towards what is cut off here: an edge becomes steeper, with no halo.
        how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        values = _resized(values, (width, height), how)
        np.clip(values, 0, 1, out=values)
        values[values > 1 - _EXACT] = 1
        values[values < _EXACT] = 0
    image[..., 3] = torch.from_numpy(values)


def _fill(colours: Floats, visible: Mask) -> None:
    """Give invisible pixels the colour of what is visible nearby, in place.

    Colours and their weights are halved in size again and again until there is no gap left, then the gaps of
    each size are filled from the next smaller one.

    Args:
        colours: [H,W,3].
        visible: [H,W].
    """
    if visible.all():
        return
    if not visible.any():
        colours[...] = _NO_COLOUR
        return
    gaps = ~visible
    colours[gaps] = 0
    _fill_gaps(colours, _half(np.nan_to_num(colours), visible.astype(np.float32)), gaps)


def _half(colours: Floats, weights: Floats) -> Floats:
    """Colours at half their size, without gaps.

    Args:
        colours: [H,W,3], each times its weight.
        weights: [H,W], 0 in the gaps, somewhere above.
    """
    size = (max(1, (weights.shape[1] + 1) // 2), max(1, (weights.shape[0] + 1) // 2))
    colours, weights = _resized(colours, size, cv2.INTER_AREA), _resized(weights, size, cv2.INTER_AREA)
    gaps = weights <= 0
    smaller = _half(colours, weights) if gaps.any() else None
    np.divide(colours, np.maximum(weights, _TINY)[..., None], out=colours)
    if smaller is not None:
        _fill_gaps(colours, smaller, gaps)
    return colours


def _fill_gaps(colours: Floats, smaller: Floats, gaps: Mask) -> None:
    """Put a smaller picture's colours into the gaps of a larger one."""
    height, width = gaps.shape
    np.copyto(colours, _resized(smaller, (width, height), cv2.INTER_LINEAR), where=gaps[..., None])


def _resized(values: Floats, size: tuple[int, int], how: int) -> Floats:
    return np.asarray(cv2.resize(values, size, interpolation=how), np.float32)
