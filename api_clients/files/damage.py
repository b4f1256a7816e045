"""Decoders raise whatever they happen to stumble over; for us it is one thing: the file is damaged."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from ..errors import InvalidInput, RemoteUpscaleError


class TooManyPixels(InvalidInput):
    """The frames are larger than was allowed; nothing was decoded."""


@contextmanager
def damage_as(error_of: Callable[[Exception], RemoteUpscaleError]) -> Generator[None]:
    """Turn what Pillow or zlib raise inside into an error of ours.

    Errors that are ours already pass, and so does a lack of memory. What libav raises is for
    ``libav_damage_as``.

    Args:
        error_of: makes our error of theirs.
    """
    try:
        yield
    except (RemoteUpscaleError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 (their types are no interface, and differ by version)
        raise error_of(error) from None
