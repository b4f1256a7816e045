"""Pictures made larger without any model."""

# OpenCV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false
from __future__ import annotations

import cv2
import numpy as np
import torch

from .quantize import Floats


def enlarge_into(image: torch.Tensor, out: torch.Tensor) -> None:
    """Scale a picture by Lanczos (by area where it becomes smaller). Blocking.

    Args:
        image: [H,W,C] of 0..1; NaN counts as 0.
        out: [H',W',C], contiguous float32 in main memory; becomes the picture at that size, of 0..1.
    """
    source = image.detach().to("cpu", torch.float32, copy=True).contiguous().numpy()
    # NaN, which counts as 0 everywhere here, would spread to all its neighbours.
    np.nan_to_num(source, copy=False, nan=0.0, posinf=1.0, neginf=0.0)
    height, width = out.shape[:2]
    values: Floats = out.numpy()
    if source.shape[:2] == (height, width):
        np.copyto(values, source)
    else:
        smaller = height < source.shape[0] or width < source.shape[1]
        how = cv2.INTER_AREA if smaller else cv2.INTER_LANCZOS4
        cv2.resize(source, (width, height), dst=values, interpolation=how)
    np.clip(values, 0, 1, out=values)
