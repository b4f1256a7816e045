"""Results of a batch's jobs put together again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from ...api_clients.errors import BadResponse

_MOST_NAMED = 8


def stack_results(pictures: Sequence[torch.Tensor]) -> torch.Tensor:
    """Pictures of one size as a batch. Blocking; one copy, into memory that is allocated once.

    Args:
        pictures: [H,W,C] each.

    Returns:
        [B,H,W,C]. A single picture is not copied.

    Raises:
        BadResponse: there are none, or they differ in size; says which has which.
    """
    if not pictures:
        raise BadResponse("There is no result to put together.")
    if len({tuple(picture.shape) for picture in pictures}) > 1:
        raise BadResponse(
            f"The results of the batch differ in size: {_differences(pictures)}.",
            hint="Send the pictures one by one, or give them all the same size before.",
        )
    if len(pictures) == 1:
        return pictures[0].unsqueeze(0)
    return torch.stack(tuple(pictures))


def _differences(pictures: Sequence[torch.Tensor]) -> str:
    """The size that most have, and every picture with another one, counted from 1."""
    sizes = [tuple(picture.shape) for picture in pictures]
    common = Counter(sizes).most_common(1)[0][0]
    others = [f"picture {n} is {_size(size)}" for n, size in enumerate(sizes, 1) if size != common]
    left_out = len(others) - _MOST_NAMED
    more = [f"{left_out} more differ"] if left_out > 0 else []
    return ", ".join(
        [f"{sizes.count(common)} of {len(sizes)} are {_size(common)}", *others[:_MOST_NAMED], *more]
    )


def _size(shape: tuple[int, ...]) -> str:
    height, width, channels = shape
    return f"{width} x {height} with {channels} channels"
