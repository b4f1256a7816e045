"""Putting a result under its final name in one step, so that nobody ever sees half a file there."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import InvalidInput, Meaning, StorageFailed
from ..locks import lock
from .durable import copy_file, make_folders, sync_file, sync_folder

_LONGEST_NAME = 200
_DEAD_AFTER = 24 * 3600  # seconds without a change, where locks do not tell
_LOCKS = sys.platform != "win32"  # a locked file could not be renamed there
_TRIAL = bytes(1 << 16)
_held: dict[Path, int] = {}
"""The partial files that this process is writing, each with the handle that keeps it locked."""

_OTHER_FOLDER = "Give another folder than {folder}."
_REFUSED = "writing there is not permitted", "Give another folder, or permit writing in {folder}."
_REASONS = {
    errno.ENOSPC: ("the disk is full", "Free some space in {folder}, or give another folder."),
    errno.EDQUOT: ("the disk quota is used up", "Free some space in {folder}, or give another folder."),
    errno.EFBIG: ("the file is too large for this disk", "Give a folder on another disk than {folder}."),
    errno.EROFS: ("the folder is read-only", _OTHER_FOLDER),
    errno.EMFILE: (
        "this process has as many files open as it may",
        "Raise the limit of open files (`ulimit -n`), or lower at_once in settings.toml.",
    ),
    errno.EACCES: _REFUSED,
    errno.EPERM: _REFUSED,
}
_WRONG_NAMES = {
    errno.ENAMETOOLONG: ("the name is too long", "Give a shorter name in {folder}."),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", _OTHER_FOLDER),
    errno.EEXIST: ("a part of the path is a file, not a folder", _OTHER_FOLDER),
    errno.EISDIR: ("there is a folder of that name", "Give another name in {folder}."),
    errno.ELOOP: ("the links in the path lead in a circle", _OTHER_FOLDER),
    errno.EINVAL: ("the disk does not take this name", "Give another name in {folder}."),
    errno.EILSEQ: ("the disk does not take this name", "Give another name in {folder}."),
}
"""What is wrong with the name or the place that was given, and not with the disk."""


def create_partial(destination: Path) -> Path:
    """Make an empty, hidden, unique file beside a destination, to be written and then moved into place.

    Missing folders are made. Only the owner may read the file until ``move_into_place``. Such files of
    processes that have ended are removed. Blocking.

    Args:
        destination: the final name.

    Returns:
        The file's path; it exists.

    Raises:
        StorageFailed: nothing can be written there; says why and names the folder.
        InvalidInput: the name or the place is a wrong one: a folder, a device, too long a name.
    """
    with _placing(destination, Meaning.RESUMABLE):
        _check_replaceable(destination)
        make_folders(destination.parent)
        # A name that the file system does not take fails here; the partial file's own name is shorter.
        with suppress(FileNotFoundError):
            destination.lstat()
        return new_partial(destination.parent, destination.name)


def new_partial(folder: Path, name: str) -> Path:
    """As ``create_partial``, of any name in a folder that is there.

    Raises:
        OSError, ValueError: it cannot be made.
    """
    name = os.fsdecode(os.fsencode(name)[:_LONGEST_NAME])  # names need not be UTF-8
    _remove_left_behind(folder, f".{name}.")
    tries = 3 if _LOCKS else 0
    while True:
        partial = folder / f".{name}.{secrets.token_hex(8)}.part"
        handle = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        if tries and _hold(partial, handle):
            return partial
        os.close(handle)
        if not tries:  # there are no locks here
            return partial
        tries -= 1
        discard(partial)


def check_place(destination: Path) -> None:
    """Find out, before anything is ordered, whether a result could be placed there: by doing it. Blocking.

    Raises:
        StorageFailed: nothing can be written there, or what is there cannot be replaced; says why.
        InvalidInput: the name or the place is a wrong one.
    """
    with _placing(destination, Meaning.NOT_SENT):
        partial = create_partial(destination)
        moved = partial.with_name(f"{partial.stem}.moved.part")
        try:
            partial.write_bytes(_TRIAL)  # a full disk still makes names
            _check_replaceable_by_us(destination)
            partial.replace(moved)
            moved.unlink()
        finally:
            discard(partial)


def move_into_place(source: Path, destination: Path, *, durable: bool = True) -> None:
    """Give a completely written file its final name, replacing what was there. Blocking.

    Args:
        source: from ``create_partial``, or any file, on any disk. It is gone afterwards; on failure it is
            left.
        destination: the final name.
        durable: have the bytes on the disk before the name is, so that a power cut leaves the old file or
            the new one.

    Raises:
        StorageFailed: it cannot be done; says why and names the folder.
        InvalidInput: the name or the place is a wrong one.
    """
    with _placing(destination, Meaning.RESUMABLE):
        _check_replaceable(destination)
        make_folders(destination.parent)
        if _moved(source, destination, durable=durable):
            _let_go(source)
        else:
            _put_copy(source, destination, durable=durable)
            discard(source)


def copy_into_place(source: Path, destination: Path, *, durable: bool = True) -> None:
    """Put a copy of a file under a final name, replacing what was there. Blocking.

    The copy shares its bytes with the file where the system can. Nothing is verified.

    Args:
        source: a file that stays, and does not change meanwhile.
        destination: the final name.
        durable: as for ``move_into_place``.

    Raises:
        StorageFailed: the file cannot be read, or nothing can be written there; says why.
        InvalidInput: the name or the place is a wrong one.
    """
    try:
        source.open("rb").close()
    except OSError as error:
        raise StorageFailed(
            f"{source} cannot be read: {error.strerror}.",
            hint="Check the disk and the permissions of its folder.",
        ) from None
    with _placing(destination, Meaning.RESUMABLE):
        _put_copy(source, destination, durable=durable)


def discard(partial: Path) -> None:
    """Remove a partial file if it is still there. Blocking; never fails."""
    with suppress(OSError):
        partial.unlink(missing_ok=True)
    _let_go(partial)


def cannot_write(destination: Path, error: OSError | ValueError) -> InvalidInput | StorageFailed:
    """The error for a result that cannot be written, also for those who write the partial file."""
    code = error.errno if isinstance(error, OSError) else errno.EINVAL
    text = error.strerror if isinstance(error, OSError) else str(error)
    kind = InvalidInput if code in _WRONG_NAMES else StorageFailed
    unknown = text or "the system refused", _OTHER_FOLDER
    reason, hint = (_WRONG_NAMES | _REASONS).get(code or 0, unknown)
    return kind(f"{destination} cannot be written: {reason}.", hint=hint.format(folder=destination.parent))


@contextmanager
def _placing(destination: Path, meaning: Meaning) -> Generator[None]:
    """Turn what the system says into an error of ours, and say what it means for the job."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise cannot_write(destination, error).but(meaning=meaning) from None
    except (InvalidInput, StorageFailed) as error:
        raise error.but(meaning=meaning) from None


def _moved(source: Path, destination: Path, *, durable: bool) -> bool:
    """Rename a file; not possible from one disk to another."""
    if durable:
        sync_file(source)
    _permit(source, destination.parent)
    try:
        source.replace(destination)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    if durable:
        sync_folder(destination.parent)
    return True


def _put_copy(source: Path, destination: Path, *, durable: bool) -> None:
    partial = create_partial(destination)
    try:
        copy_file(source, partial)
        if not _moved(partial, destination, durable=durable):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    finally:
        discard(partial)


def _let_go(partial: Path) -> None:
    handle = _held.pop(partial, None)
    if handle is not None:
        os.close(handle)


def _hold(partial: Path, handle: int) -> bool:
    """Show other processes that this one is at the file, unless one has just taken it for left behind."""
    if not lock(handle, shared=False):
        return False
    try:
        held = os.path.samestat(os.fstat(handle), partial.stat())
    except FileNotFoundError:
        held = False
    if held:
        _held[partial] = handle
    return held


def _remove_left_behind(folder: Path, start: str) -> None:
    """Remove the partial files of processes that were killed in the middle."""
    with os.scandir(folder) as entries:
        found = [
            entry.path for entry in entries if entry.name.startswith(start) and entry.name.endswith(".part")
        ]
    for path in found:
        with suppress(OSError):
            _remove_if_left_behind(Path(path))


def _remove_if_left_behind(partial: Path) -> None:
    if partial.stat().st_mtime < time.time() - _DEAD_AFTER:
        partial.unlink()
    elif _LOCKS and partial not in _held:
        handle = os.open(partial, os.O_RDWR)
        try:
            if lock(handle, shared=False):  # and it is kept meanwhile, so that nobody begins to use the file
                partial.unlink()
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


def _check_replaceable_by_us(destination: Path) -> None:
    """Refuse what a rename could not replace, though the folder can be written.

    Raises:
        PermissionError: it is somebody else's, or marked as unchangeable.
    """
    try:
        there = destination.lstat()
    except FileNotFoundError:
        return
    if os.name != "nt":
        folder = destination.parent.stat()
        if folder.st_mode & stat.S_ISVTX and os.geteuid() not in {0, folder.st_uid, there.st_uid}:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    if not stat.S_ISREG(there.st_mode):
        return
    try:
        os.close(os.open(destination, os.O_WRONLY))
    except PermissionError as error:
        # A file that may only be read can be replaced all the same, except on Windows.
        if os.name == "nt" or error.errno == errno.EPERM:
            raise
    except OSError:
        pass


def _permit(partial: Path, folder: Path) -> None:
    """Give a file the permissions that new files get in a folder, where the disk has such.

    The process's umask can only be read by changing it, which other threads would notice; a new file tells.
    """
    if os.name == "nt":
        return
    sample = folder / f".{secrets.token_hex(8)}.part"
    with suppress(OSError):
        handle = os.open(sample, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        try:
            partial.chmod(os.fstat(handle).st_mode & 0o777)
        finally:
            os.close(handle)
            discard(sample)
