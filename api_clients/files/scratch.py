"""Where files go that nobody wants to keep."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ..errors import Meaning, StorageFailed


def scratch_place(home: Path) -> Path:
    """The system's folder for temporary files; the home folder where it has none that can be written.

    Containers often have but one folder that is not read-only. Blocking.

    Args:
        home: the home folder, which is made where it is needed.

    Raises:
        StorageFailed: there is none, and the home folder cannot be made.
    """
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        pass
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(
            f"There is no folder for temporary files, and {home} cannot be made: {error.strerror}.",
            hint="Set REMOTE_UPSCALE_HOME or TMPDIR to a folder that can be written.",
            meaning=Meaning.NOT_SENT,
        ) from None
    return home
