from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from remote_upscale.api_clients.files.spliced_file import SplicedFile


@dataclass
class File:
    """An input, as ``Hosting.host`` wants it."""

    path: Path
    data: bytes

    @property
    def source(self) -> SplicedFile:
        return SplicedFile.whole(self.path)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def args(self, **changes: object) -> dict[str, object]:
        about = {"name_suffix": ".png", "media_type": "image/png", "digest": self.digest, "valid_for": 600.0}
        return about | changes


@pytest.fixture
def make(tmp_path: Path):
    """Makes inputs of random bytes."""

    def one(size: int = 50_000) -> File:
        data = os.urandom(size)
        path = tmp_path / f"input-{len(list(tmp_path.iterdir()))}.png"
        path.write_bytes(data)
        return File(path, data)

    return one
