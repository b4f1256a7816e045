"""Frame rates as ComfyUI's widgets hold them."""

from __future__ import annotations

import math
from fractions import Fraction

from ...api_clients.errors import InvalidInput

_NTSC = 1001
_CLOSE = 1e-9


def exact_rate(rate: float) -> Fraction:
    """The frame rate that a float stands for: 29.97002997002997 is 30000/1001, and 29.97 is 2997/100.

    Raises:
        InvalidInput: it is no number.
    """
    if not math.isfinite(rate):
        raise InvalidInput(f"The frame rate is {rate}.", hint="Enter a number of frames per second.")
    written = Fraction(str(rate))
    near = Fraction(rate).limit_denominator(_NTSC)
    return near if abs(float(near) - rate) <= _CLOSE * rate else written
