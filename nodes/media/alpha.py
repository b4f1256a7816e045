"""Alpha: kept back before a picture is sent, and put back to the result."""

# torch's and OpenCV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
from __future__ import annotations

import cv2
import numpy as np
import torch

from .quantize import Floats, Pixels

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
    alpha = image[..., 3].contiguous()
    colours = image[..., :3].to("cpu", torch.float32, copy=True).contiguous()
    for one, opacity in zip(colours.numpy(), alpha.to("cpu", torch.float32).numpy(), strict=True):
        _fill(one, opacity >= _VISIBLE)
    return colours, alpha


def join_alpha(rgb: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """A result with the alpha of its source, scaled to the result's size. Blocking.

    Args:
        rgb: [H',W',3], float32.
        alpha: [H,W] of 0..1.

    Returns:
        [H',W',4]. Alpha stays within 0..1; 0 and 1 are exact where the source was 0 or 1 all around.
    """
    height, width = rgb.shape[:2]
    values = np.clip(np.nan_to_num(alpha.detach().to("cpu", torch.float32).numpy()), 0, 1)
    if values.shape != (height, width):
        smaller = height <= values.shape[0] and width <= values.shape[1]
        # Cubic overshoots at edges, towards what is cut off here: an edge becomes steeper, with no halo.
        how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        values = np.clip(_resized(values, (width, height), how), 0, 1)
        values[values > 1 - _EXACT] = 1
        values[values < _EXACT] = 0
    joined = torch.empty((height, width, 4), dtype=torch.float32)
    joined[..., :3] = rgb
    joined[..., 3] = torch.from_numpy(values)
    return joined


def _fill(colours: Floats, visible: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> None:
    """Give invisible pixels the colour of what is visible nearby, in place.

    Colours and their weights are halved in size again and again until there is no gap left, then the gaps of
    each size are filled from the next smaller one.
    """
    if visible.all():
        return
    if not visible.any():
        colours[...] = _NO_COLOUR
        return
    weights: Floats = visible.astype(np.float32)
    shown: Floats = np.where(visible[..., None], np.nan_to_num(colours), np.float32(0))
    colours[~visible] = _blurred(shown, weights)[~visible]


def _blurred(shown: Floats, weights: Floats) -> Floats:
    """Colours without gaps.

    Args:
        shown: [H,W,3], colour times weight.
        weights: [H,W], 0 in the gaps, somewhere above.
    """
    height, width = weights.shape
    filled = np.divide(shown, np.maximum(weights, _TINY)[..., None], dtype=np.float32)
    gaps = weights <= 0
    if gaps.any():
        half = (max(1, (width + 1) // 2), max(1, (height + 1) // 2))
        smaller = _blurred(
            _resized(shown, half, cv2.INTER_AREA),
            _resized(weights, half, cv2.INTER_AREA),
        )
        filled[gaps] = _resized(smaller, (width, height), cv2.INTER_LINEAR)[gaps]
    return filled


def _resized(values: Floats, size: tuple[int, int], how: int) -> Floats:
    return np.asarray(cv2.resize(values, size, interpolation=how), np.float32)
