"""Telling others how far a transfer is."""

from __future__ import annotations

from collections.abc import Callable

from ..redaction import get_logger

_log = get_logger(__name__)

Progress = Callable[[int, int | None], None]
"""Called with the bytes done so far and, where it is known, their total."""


def harmless(progress: Progress) -> Progress:
    """A callback whose first error is logged, and none of whose errors reaches the transfer."""
    failed = False

    def tell(done: int, total: int | None) -> None:
        nonlocal failed
        try:
            progress(done, total)
        except Exception:  # noqa: BLE001 (whatever a caller's code raises)
            if not failed:
                _log.warning("A progress callback failed; the transfer goes on", exc_info=True)
            failed = True

    return tell
