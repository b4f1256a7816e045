"""What is known of a picture or a clip."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from .turn import UPRIGHT, Turn


@dataclass(frozen=True)
class ImageInfo:
    """A picture.

    Attributes:
        format: ``png``, ``jpeg`` or ``webp``.
        width: in pixels, as displayed: EXIF orientation applied.
        height: likewise.
        alpha: whether it can be transparent.
        frames: more than one when it is animated.
        bytes: size of the file.
        depth: bits of each colour, 1 to 16; of a palette's, 8.
    """

    format: str
    width: int
    height: int
    alpha: bool
    frames: int
    bytes: int
    depth: int = 8

    @property
    def size(self) -> tuple[int, int]:
        """As (width, height)."""
        return self.width, self.height

    def lost_in(self, result: Info) -> list[str]:
        """What of a picture its result does not have any more, in sentences."""
        lost: list[str] = []
        if isinstance(result, ImageInfo) and self.alpha and not result.alpha:
            lost.append("The input has alpha, the result has none.")
        if isinstance(result, ImageInfo) and self.depth > max(8, result.depth):
            lost.append(f"The input has {self.depth} bits for each colour, the result has {result.depth}.")
        return lost


@dataclass(frozen=True)
class VideoInfo:
    """A clip.

    Attributes:
        format: ``mp4``, ``mov``, ``webm``, ``matroska`` or ``avi``.
        width: in pixels, as displayed: rotation applied, sample aspect not.
        height: likewise.
        frame_rate: average frames a second; ``None`` where nothing says it.
        frames: number of pictures; ``None`` where the file does not say it.
        seconds: announced length; ``None`` where nothing says it.
        audio: whether it has sound.
        codec: of the picture, as libav calls it, e.g. ``h264``.
        bytes: size of the file.
        turn: what is done to stored frames for display.
        sample_aspect: a pixel's width to its height.
    """

    format: str
    width: int
    height: int
    frame_rate: Fraction | None
    frames: int | None
    seconds: float | None
    audio: bool
    codec: str
    bytes: int
    turn: Turn = UPRIGHT
    sample_aspect: Fraction = Fraction(1)

    @property
    def size(self) -> tuple[int, int]:
        """As (width, height)."""
        return self.width, self.height

    @property
    def rotation(self) -> int:
        """Degrees clockwise by which stored frames are turned for display: 0, 90, 180 or 270."""
        return self.turn.degrees


Info = ImageInfo | VideoInfo
