"""What an open clip is, and whether it is whole. Imported only where there is a clip, as libav takes long."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

from av.video.frame import VideoFrame

from ..errors import BadResponse, InvalidInput, Meaning
from .formats.structure import Source
from .info import VideoInfo
from .open_video import OpenVideo, exact, libav_damage_as, open_video
from .packets import codec_of, decode_first, end_of
from .turn import Turn

_TAIL_SECONDS = 1.0
_MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Clip:
    """An open clip whose first frame was decoded.

    Attributes:
        info: what it is.
        video: the clip itself.
        reached: how far the packets reach that were read for the first frame, in seconds.
    """

    info: VideoInfo
    video: OpenVideo
    reached: float

    def check_end(self) -> None:
        """Decode one frame near the end, and see that the packets reach the announced length.

        Raises:
            BadResponse: they do not, or its end cannot be decoded.
        """
        with libav_damage_as(lambda _: _damaged_end()):
            _check_end(self.video, self.reached)


def probe_clip(source: Source, max_pixels: int) -> VideoInfo:
    """What a clip is.

    Args:
        source: it, open, of a known format.
        max_pixels: the largest frame that is decoded.

    Raises:
        InvalidInput: it is damaged, or its frames are larger.
    """
    with read_clip(source, max_pixels) as clip:
        return clip.info


@contextmanager
def read_clip(source: Source, max_pixels: int) -> Generator[Clip]:
    """Open a clip and decode its first frame; args and errors are those of ``probe_clip``.

    What libav raises inside the context is an error of ours, too.
    """
    with (
        libav_damage_as(lambda _: _undecodable(source)),
        open_video(source.path, source.format, max_pixels=max_pixels) as video,
    ):
        first, reached = decode_first(video)
        info = _info(video, first, source)
        del first  # a large frame's memory
        yield Clip(info, video, reached)


def _undecodable(source: Source) -> InvalidInput:
    return source.broken("it cannot be decoded")


def _damaged_end() -> BadResponse:
    return BadResponse("The result is a damaged clip: its end cannot be decoded.", meaning=Meaning.TRY_AGAIN)


def _info(video: OpenVideo, first: VideoFrame, source: Source) -> VideoInfo:
    stream = video.video
    turn = Turn.of(first)
    width, height = turn.shown((first.width, first.height))
    return VideoInfo(
        format=source.format,
        width=width,
        height=height,
        frame_rate=exact(stream.average_rate) or exact(stream.guessed_rate),
        frames=stream.frames or None,
        seconds=video.seconds,
        audio=bool(video.container.streams.audio),
        codec=codec_of(stream),
        bytes=source.size,
        turn=turn,
        sample_aspect=exact(stream.sample_aspect_ratio) or Fraction(1),
    )


def _check_end(video: OpenVideo, reached: float) -> None:
    seconds = video.seconds
    start = video.container.start_time or 0
    if "matroska" in video.container.format.name:
        start = 0  # its length counts from 0, whenever its first frame is shown
    decoded = True
    if seconds is not None and seconds > _TAIL_SECONDS:
        video.container.seek(start + int((seconds - _TAIL_SECONDS) * _MICROSECONDS))
        reached, decoded = 0.0, False
    for packet in video.container.demux():
        reached = max(reached, end_of(packet))
        if packet.stream is video.video and not decoded:
            decoded = bool(packet.decode())
    if not decoded:
        raise BadResponse("The result is a clip without a frame near its end.", meaning=Meaning.TRY_AGAIN)
    reached -= start / _MICROSECONDS
    if seconds is not None and reached < seconds - max(0.5, 0.02 * seconds):
        raise BadResponse(
            f"The result is a clip that ends after {reached:.1f} of {seconds:.1f} seconds.",
            meaning=Meaning.TRY_AGAIN,
        )
