"""Decoders raise whatever they happen to stumble over; for us it is one thing: the file is damaged."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from av.error import FFmpegError

from ..errors import RemoteUpscaleError


@contextmanager
def damage_as(error_of: Callable[[Exception], RemoteUpscaleError]) -> Generator[None]:
    """Turn what Pillow, libav or NumPy raise inside into an error of ours.

    Errors that are ours already pass, and so does a lack of memory; libav's own kind of that does not: it is
    libav's answer to sizes that make no sense.

    Args:
        error_of: makes our error of theirs.
    """
    try:
        yield
    except RemoteUpscaleError:
        raise
    except FFmpegError as error:
        raise error_of(error) from None
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 (their types are no interface, and differ by version)
        raise error_of(error) from None
