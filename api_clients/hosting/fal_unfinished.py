"""What is known of an upload in parts that is not finished, so that any process can go on with it."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..errors import RemoteUpscaleError
from ..files.atomic_write import create_partial, discard
from ..json_values import as_object, as_text

_SUFFIX = ".parts"
_FORGOTTEN_AFTER = 2 * 24 * 3600  # seconds without a change


@dataclass
class Unfinished:
    """An upload in parts.

    Attributes:
        access_url: the link that the file will have.
        upload_id: fal's name for the upload.
        expires: Unix time until which fal keeps the file.
        etags: what fal answered to each part that is through, by its number from 1 on.
    """

    access_url: str = field(repr=False)
    upload_id: str
    expires: float
    etags: dict[int, str] = field(default_factory=dict[int, str])


class UnfinishedFile:
    """Where one is kept. Methods are blocking. One that cannot be kept or read is as good as none.

    Args:
        folder: of all of them; this user alone can read what is in it.
        digest: names the content and the place that it goes to.
    """

    def __init__(self, folder: Path, digest: str) -> None:
        self._path = folder / f"{digest}{_SUFFIX}"

    def load(self, until: float) -> Unfinished | None:
        """The upload, if there is one whose file will be there until that Unix time."""
        try:
            document = as_object(json.loads(self._path.read_bytes()))
            etags = {int(number): str(etag) for number, etag in as_object(document.get("etags")).items()}
            expires = float(document["expires"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        access_url, upload_id = as_text(document.get("access_url")), as_text(document.get("upload_id"))
        if access_url is None or upload_id is None or expires < until:
            return None
        return Unfinished(access_url, upload_id, expires, etags)

    def save(self, upload: Unfinished) -> None:
        """Keep it as it is now."""
        with suppress(OSError, RemoteUpscaleError):
            partial = create_partial(self._path)
            try:
                partial.write_text(json.dumps(asdict(upload)), "utf-8")
                partial.replace(self._path)
            finally:
                discard(partial)

    def remove(self) -> None:
        """Forget it, and those that nobody has gone on with for long."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
            for path in self._path.parent.glob(f"*{_SUFFIX}"):
                if path.stat().st_mtime < time.time() - _FORGOTTEN_AFTER:
                    path.unlink()
