"""How stored frames are turned and mirrored to be shown."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # libav takes long to load, and pictures do without
    from av.video.frame import VideoFrame


@dataclass(frozen=True)
class Turn:
    """One of the eight ways to lay a picture: what is done to it, in the order of the attributes.

    Attributes:
        transposed: rows become columns.
        mirrored: left and right change places.
        flipped: top and bottom change places.
    """

    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> Turn:
        """What the display matrix of a decoded frame asks for; nothing where it asks for odd angles."""
        data = frame.side_data.get("DISPLAYMATRIX")
        if data is None or frame.rotation % 90:
            return cls()
        # A pixel at (x, y) is shown at (a x + c y, b x + d y).
        a, b, _, c, d, *_ = struct.unpack_from("=9i", bytes(data))
        if abs(b) > abs(a):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return self.transposed or self.mirrored or self.flipped

    @property
    def degrees(self) -> int:
        """Clockwise turn, 0, 90, 180 or 270; a picture that is mirrored, too, is mirrored after it."""
        if self.transposed:
            return 270 if self.flipped else 90
        return 180 if self.flipped else 0

    def shown(self, size: tuple[int, int]) -> tuple[int, int]:
        """A size with its sides swapped if that is what happens to them; the same way there and back."""
        return (size[1], size[0]) if self.transposed else size


UPRIGHT = Turn()
"""As it is stored."""
