"""Pictures made larger without any model."""

# OpenCV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false
from __future__ import annotations

import cv2
import numpy as np
import torch


def enlarged(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """A picture [H,W,C] of 0..1 at another size, by Lanczos (by area where it becomes smaller). Blocking.

    Returns:
        [height,width,C], float32, of 0..1.
    """
    values = image.detach().to("cpu", torch.float32).contiguous().numpy()
    # NaN, which counts as 0 everywhere here, would spread to all its neighbours.
    values = np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0)
    if values.shape[:2] != (height, width):
        smaller = height < values.shape[0] or width < values.shape[1]
        how = cv2.INTER_AREA if smaller else cv2.INTER_LANCZOS4
        values = np.asarray(cv2.resize(values, (width, height), interpolation=how), np.float32)
    return torch.from_numpy(np.clip(values, 0, 1))
