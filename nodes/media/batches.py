"""The results of a batch's jobs, decoded into one tensor."""

from __future__ import annotations

import threading
from collections import Counter

import torch

from ...api_clients.errors import BadResponse
from .quantize import new_floats

_MOST_NAMED = 8


class ResultBatch:
    """A batch [B,H,W,C] that results are decoded into, in any thread.

    Its memory is taken when the first one's size is known.

    Args:
        count: B.
        channels: C, 3 or 4.
    """

    def __init__(self, count: int, channels: int) -> None:
        self._count = count
        self._channels = channels
        self._lock = threading.Lock()
        self._images: torch.Tensor | None = None
        self._sizes: dict[int, tuple[int, int]] = {}

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width, those of the first result; ``None`` before there is one."""
        return None if self._images is None else (self._images.shape[1], self._images.shape[2])

    def row(self, number: int, height: int, width: int) -> torch.Tensor:
        """Where a picture of that size is to be put: float32 [height,width,C], contiguous.

        A picture of another size than the first gets memory of its own, and ``whole`` refuses the batch.

        Args:
            number: of the picture, from 0.
            height: in pixels.
            width: in pixels.
        """
        with self._lock:
            if self._images is None:
                self._images = new_floats(self._count, height, width, self._channels)
            self._sizes[number] = height, width
        if (height, width) != self.size:
            return new_floats(height, width, self._channels)
        return self._images[number]

    def whole(self) -> torch.Tensor:
        """The batch [B,H,W,C], once every picture is in its row.

        Raises:
            BadResponse: the pictures differ in size, or there are none; says which has which size.
        """
        if self._images is None:
            raise BadResponse("There is no result to put together.")
        if len(set(self._sizes.values())) > 1:
            raise BadResponse(
                f"The results of the batch differ in size: {self._differences()}.",
                hint="Send the pictures one by one, or give them all the same size first.",
            )
        return self._images

    def _differences(self) -> str:
        """The size that most have, and every picture with another one, counted from 1."""
        common, have_it = Counter(self._sizes.values()).most_common(1)[0]
        others = [
            f"picture {number + 1} is {self._words(size)}"
            for number, size in sorted(self._sizes.items())
            if size != common
        ]
        left_out = len(others) - _MOST_NAMED
        more = [f"{left_out} more differ"] if left_out > 0 else []
        summary = f"{have_it} of {len(self._sizes)} are {self._words(common)}"
        return ", ".join([summary, *others[:_MOST_NAMED], *more])

    def _words(self, size: tuple[int, int]) -> str:
        height, width = size
        return f"{width} x {height} with {self._channels} channels"
