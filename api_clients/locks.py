"""Locks on files. The operating system drops them when the process ends, however it ends."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import msvcrt

    def _take(file: int, *, shared: bool) -> None:  # noqa: ARG001 (there are no shared locks)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(file: int, *, shared: bool) -> None:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def lock(file: int, *, shared: bool) -> bool:
    """Lock an open file without waiting, and say whether that worked. Closing it unlocks it."""
    try:
        _take(file, shared=shared)
    except OSError:
        return False
    return True
