"""How stored frames are turned and mirrored to be shown."""

# PyAV leaves parts of its graphs unannotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

from av.filter import Graph
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

    @property
    def is_mirror_image(self) -> bool:
        """Whether no turn alone does it."""
        return self.transposed ^ self.mirrored ^ self.flipped

    def shown(self, size: tuple[int, int]) -> tuple[int, int]:
        """A size with its sides swapped if that is what happens to them; the same way there and back."""
        return (size[1], size[0]) if self.transposed else size


UPRIGHT = Turn()
"""As it is stored."""


class Turner:
    """Lays pictures the way that they are to be shown."""

    def __init__(self, turn: Turn) -> None:
        steps = (
            ("transpose", "cclock_flip", turn.transposed),
            ("hflip", "", turn.mirrored),
            ("vflip", "", turn.flipped),
        )
        self._filters = [(name, options) for name, options, wanted in steps if wanted]
        self._graph: Graph | None = None
        self.shown = turn.shown

    def apply(self, frame: VideoFrame) -> VideoFrame:
        """The frame, upright. Its time is lost."""
        if not self._filters:
            return frame
        if self._graph is None:
            self._graph = Graph()
            buffer = self._graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
            )
            steps = [self._graph.add(*step) for step in self._filters]
            self._graph.link_nodes(buffer, *steps, self._graph.add("buffersink")).configure()
        self._graph.push(frame)
        turned = self._graph.pull()
        assert isinstance(turned, VideoFrame)
        return turned
