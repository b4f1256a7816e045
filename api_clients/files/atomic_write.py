"""Putting a result under its final name in one step, so that nobody ever sees half a file there."""

from __future__ import annotations

import errno
import os
import secrets
import sys
import time
from contextlib import suppress
from pathlib import Path

from ..errors import InvalidInput
from ..locks import lock

_LONGEST_NAME = 200
_DEAD_AFTER = 24 * 3600  # seconds without a change, where locks do not tell
_LOCKS = sys.platform != "win32"  # a locked file could not be renamed there
_held: dict[Path, int] = {}
"""The partial files that this process is writing, each with the handle that keeps it locked."""
_REASONS = {
    errno.ENOSPC: ("the disk is full", "Free some space in {folder}, or give another folder."),
    errno.EDQUOT: ("the disk quota is used up", "Free some space in {folder}, or give another folder."),
    errno.EFBIG: ("the file is too large for this disk", "Give a folder on another disk than {folder}."),
    errno.EROFS: ("the folder is read-only", "Give another folder than {folder}."),
    errno.EACCES: ("writing there is not permitted", "Give another folder, or permit writing in {folder}."),
    errno.EPERM: ("writing there is not permitted", "Give another folder, or permit writing in {folder}."),
    errno.ENAMETOOLONG: ("the name is too long", "Give a shorter name in {folder}."),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "Give another folder than {folder}."),
    errno.EEXIST: ("a part of the path is a file, not a folder", "Give another folder than {folder}."),
}


def create_partial(destination: Path) -> Path:
    """Make an empty, hidden, unique file beside a destination, to be written and then moved into place.

    Missing folders are made. Only the owner may read the file until ``move_into_place``. What can be known to
    stand in the way of the final name is found here. Such files of processes that have ended are removed.
    Blocking.

    Args:
        destination: the final name.

    Returns:
        The file's path; it exists.

    Raises:
        InvalidInput: nothing can be written there; says why and names the folder.
    """
    try:
        _check_replaceable(destination)
        destination.parent.mkdir(parents=True, exist_ok=True)
        # A name that the file system does not take fails here; the partial file's own name is shorter.
        with suppress(FileNotFoundError):
            destination.lstat()
        name = os.fsdecode(os.fsencode(destination.name)[:_LONGEST_NAME])  # names need not be UTF-8
        _remove_left_behind(destination.parent, f".{name}.")
        partial = destination.with_name(f".{name}.{secrets.token_hex(8)}.part")
        _hold(partial, os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except (OSError, ValueError) as error:
        raise cannot_write(destination, error) from None
    return partial


def check_place(destination: Path) -> None:
    """Find out, before anything is paid for, whether a result could be placed there. Blocking.

    Raises:
        InvalidInput: nothing can be written there; says why and names the folder.
    """
    discard(create_partial(destination))


def move_into_place(partial: Path, destination: Path, *, durable: bool = True) -> None:
    """Give a completely written file its final name, replacing what was there. Blocking.

    Args:
        partial: from ``create_partial`` for the same destination; it is gone afterwards, also on failure.
        destination: the final name.
        durable: have the bytes on the disk before the name is, so that a power failure leaves the old file or
            the new one.

    Raises:
        InvalidInput: it cannot be done; says why and names the folder.
    """
    try:
        _check_replaceable(destination)
        if durable:
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
        _permit(partial)
        partial.replace(destination)
    except OSError as error:
        raise cannot_write(destination, error) from None
    finally:
        discard(partial)
    if durable:
        _sync_folder(destination.parent)


def discard(partial: Path) -> None:
    """Remove a partial file if it is still there. Blocking; never fails."""
    with suppress(OSError):
        partial.unlink(missing_ok=True)
    handle = _held.pop(partial, None)
    if handle is not None:
        os.close(handle)


def cannot_write(destination: Path, error: OSError | ValueError) -> InvalidInput:
    """The error for a result that cannot be written, also for those who write the partial file."""
    code = error.errno if isinstance(error, OSError) else None
    text = error.strerror if isinstance(error, OSError) else str(error)
    unknown = text or "the system refused", "Give another folder than {folder}."
    reason, hint = _REASONS.get(code or 0, unknown)
    return InvalidInput(
        f"{destination} cannot be written: {reason}.", hint=hint.format(folder=destination.parent)
    )


def _hold(partial: Path, handle: int) -> None:
    """Show other processes that this one is at the file."""
    if _LOCKS and lock(handle, shared=False):
        _held[partial] = handle
    else:
        os.close(handle)


def _remove_left_behind(folder: Path, start: str) -> None:
    """Remove the partial files of processes that were killed in the middle."""
    with os.scandir(folder) as entries:
        found = [
            entry.path for entry in entries if entry.name.startswith(start) and entry.name.endswith(".part")
        ]
    for path in found:
        with suppress(OSError):
            if _is_left_behind(Path(path)):
                Path(path).unlink()


def _is_left_behind(partial: Path) -> bool:
    if partial.stat().st_mtime < time.time() - _DEAD_AFTER:
        return True
    if not _LOCKS or partial in _held:
        return False
    handle = os.open(partial, os.O_RDWR)
    try:
        return lock(handle, shared=False)
    finally:
        os.close(handle)


def _check_replaceable(destination: Path) -> None:
    """Refuse to replace what is no plain file: a folder, a device such as /dev/null, a pipe."""
    if destination.is_dir():
        raise _is_folder(destination)
    if destination.exists() and not destination.is_file():
        raise InvalidInput(
            f"{destination} cannot be written: it is a device or a pipe, not a file.",
            hint="Give the name of a file.",
        )


def _is_folder(destination: Path) -> InvalidInput:
    return InvalidInput(f"{destination} is a folder.", hint=f"Give the name of a file in {destination}.")


def _permit(partial: Path) -> None:
    """Give a file the permissions that new files get here.

    The process's umask can only be read by changing it, which other threads would notice; a new file tells.
    """
    if os.name == "nt":
        return
    sample = partial.with_name(f".{secrets.token_hex(8)}.part")
    handle = os.open(sample, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        partial.chmod(os.fstat(handle).st_mode & 0o777)
    finally:
        os.close(handle)
        discard(sample)


def _sync_folder(folder: Path) -> None:
    """Have the new name written to the disk, where the system lets folders be synced (Windows does not)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
