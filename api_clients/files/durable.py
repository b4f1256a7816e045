"""What a power cut must not undo: syncing files and folders; and copying whole files as the system does best.

Everything here is blocking and raises ``OSError``.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

_NOT_OFFERED = frozenset(
    {
        *(errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY),
        *(errno.EBADF, errno.EACCES, errno.EPERM, errno.EISDIR),
    }
)
"""How a system says that it does not sync such a thing: network drives, FUSE, folders on Windows."""
_COPY_AT_ONCE = 1 << 30


def sync_file(path: Path) -> None:
    """Have a file's bytes on the disk, where the system offers that.

    Raises:
        OSError: they could not be written, for example because the disk is full after all.
    """
    _sync(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)


def sync_open(handle: int) -> None:
    """As ``sync_file``, of a file that is open for writing.

    Raises:
        OSError: they could not be written.
    """
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise


def offers_sync(folder: Path) -> bool:
    """Whether a system syncs files in a folder: found out with one of our own. Blocking.

    Raises:
        OSError: no file can be made there, or the disk is full.
    """
    handle, name = tempfile.mkstemp(dir=folder, prefix=".trial-")
    try:
        os.write(handle, b"1")
        os.fsync(handle)
        if hasattr(os, "fdatasync"):
            os.fdatasync(handle)  # which databases use
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
        return False
    finally:
        os.close(handle)
        Path(name).unlink(missing_ok=True)
    return True


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system offers that; Windows does not.

    Raises:
        OSError: they could not be written.
    """
    _sync(folder, os.O_RDONLY)


def make_folders(folder: Path, mode: int = 0o777) -> None:
    """Make a folder and those above it where they are missing, so that they are there after a power cut.

    Args:
        folder: may be there already.
        mode: permissions of the folder itself where it is made, before the umask.

    Raises:
        OSError: it cannot be made, or something else is in its place.
    """
    if folder.is_dir():
        return
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(mode, parents=True, exist_ok=True)
    for made in missing:
        sync_folder(made.parent)


def copy_file(source: Path, into: Path) -> None:
    """Copy a file's bytes into an existing file, sharing them on the disk where the system can.

    Args:
        source: must not change meanwhile.
        into: its content is replaced.

    Raises:
        OSError: one of them cannot be read or written.
    """
    if not _copied_by_system(source, into):
        shutil.copyfile(source, into)


def _sync(path: Path, flags: int) -> None:
    try:
        handle = os.open(path, flags)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
        return
    try:
        sync_open(handle)
    finally:
        os.close(handle)


def _copied_by_system(source: Path, into: Path) -> bool:
    """Copy within the kernel; file systems that can share blocks do so. Whether that worked to the end."""
    if not hasattr(os, "copy_file_range"):
        return False
    with source.open("rb", buffering=0) as there, into.open("wb", buffering=0) as here:
        left = os.fstat(there.fileno()).st_size
        try:
            while left:
                count = os.copy_file_range(there.fileno(), here.fileno(), min(left, _COPY_AT_ONCE))
                if not count:
                    return False
                left -= count
        except OSError:
            return False  # the ordinary way tells what is wrong, if anything is
    return True
