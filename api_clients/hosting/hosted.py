"""What a host takes, what it gives, and how it fails."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from ..errors import HostingFailed, Meaning
from ..files.spliced_file import SplicedFile

AT_FAL, IN_STORE = "fal", "object-store"
"""The ways to host an input: fal's storage, and an object store of the user's."""

FOLDER = "hosting"
"""In the home folder: locks, and what is known of unfinished uploads."""


@dataclass(frozen=True)
class Upload:
    """An input to be hosted.

    Attributes:
        source: its bytes.
        digest: their SHA-256, in hexadecimal.
        suffix: file name suffix, such as ``.png``.
        media_type: such as ``image/png``.
        valid_for: seconds for which the link has to work.
    """

    source: SplicedFile
    digest: str
    suffix: str
    media_type: str
    valid_for: float

    @property
    def name(self) -> str:
        """A file name that tells nothing about where it came from."""
        return f"{self.digest[:64]}{self.suffix}"

    def content_at(self, place: str) -> str:
        """A digest, in hexadecimal, of what it is and of the place where it goes."""
        return hashlib.sha256(f"{place}\n{self.name} {self.media_type}".encode()).hexdigest()


@dataclass(frozen=True)
class Hosted:
    """An input that a provider can fetch.

    Attributes:
        url: a link that whoever has it may read; keep it out of logs.
        expires: Unix time until which it works, ``None`` where that is up to someone else.
        way: ``object-store`` or ``fal``.
    """

    url: str = field(repr=False)
    expires: float | None
    way: str


def failed(
    message: str, hint: str, *, passes: bool = False, retry_after: float | None = None
) -> HostingFailed:
    """A hosting error: no job was submitted, so nothing can have been charged."""
    return HostingFailed(
        message,
        hint=hint,
        meaning=Meaning.TRY_AGAIN if passes else Meaning.NOT_SENT,
        retry_after=retry_after,
    )
