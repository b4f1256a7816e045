"""Clips, enlarged frame by frame by Lanczos resampling with swscale, sound and timing untouched."""

from __future__ import annotations

# PyAV leaves the keyword arguments of its stubs and the stream of its packets unannotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

from ..errors import InvalidInput
from ..files.open_video import exact
from ..files.packets import codec_of, frames_in, packets_of
from ..files.probe import VideoInfo, probe
from ..files.turn import UPRIGHT, Turn
from ..files.turner import Turner
from ..sizes import Size
from .problems import InputRefused, Problem
from .upscale_image import MARK, MOST_PIXELS

_SHORTEST_HEVC_SIDE = 64
"""x265 writes past its buffers with some narrower pictures (48 pixels), which ends the whole process."""

_MP4_SOUND = frozenset({"aac", "ac3", "alac", "dts", "eac3", "flac", "mp2", "mp3", "opus", "vorbis"}) | {
    f"pcm_{kind}{order}" for kind in ("f32", "f64", "s16", "s24", "s32") for order in ("be", "le")
}
_CRF = {"low": "28", "medium": "22", "high": "16"}


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How a clip is encoded: ``hevc`` or not (then H.264), and ``low``, ``medium`` or ``high`` quality."""

    hevc: bool = False
    quality: str = "high"


def upscale(
    source: Path,
    target: Path,
    encoding: Encoding,
    target_size: Callable[[Size], Size],
    stopped: Callable[[], bool] = lambda: False,
) -> Size:
    """Enlarge a clip into an MP4 file.

    Every frame keeps its time, so the frame rate stays exact, also a varying one. Sound is copied packet by
    packet, or left out where MP4 does not take it. Colour space and range are kept. A clip that is shown
    rotated is written upright. An MP4 whose size does not change is passed through as it is: the file is
    moved.

    Args:
        source: MP4, MOV, AVI or WebM.
        target: the file to write.
        encoding: codec and quality.
        target_size: tells the result's size from the input's, both (width, height) in pixels.
        stopped: asked now and then; once it says yes, the rest of the clip is left out.

    Returns:
        The result's size; both sides are even, as the codecs need it.

    Raises:
        InputRefused: it does not decode, or it is too large.
    """
    try:
        with av.open(str(source)) as reader:
            if not reader.streams.video:
                raise InputRefused(Problem.DAMAGED, "The file holds no video.")
            video = reader.streams.video[0]
            turn = Turner(_turn(source))
            shown = turn.shown((video.width, video.height))
            size = target_size(shown)
            passes = size == shown and _is_mp4(source)
            if not passes:
                size = _even(size)
                _check(size, encoding)
                with av.open(str(target), "w", format="mp4") as writer:
                    _Transfer(reader, video, writer, size, encoding=encoding, turn=turn).run(stopped)
    except (FFmpegError, ValueError):
        raise InputRefused(Problem.DAMAGED, "The video could not be decoded.") from None
    if passes:
        source.replace(target)
    return size


class _Transfer:
    """One pass over a clip: pictures through the scaler and the encoder, sound straight across."""

    def __init__(
        self,
        reader: InputContainer,
        video: VideoStream,
        writer: OutputContainer,
        size: Size,
        *,
        encoding: Encoding,
        turn: Turner,
    ) -> None:
        self._reader, self._video, self._writer, self._size = reader, video, writer, size
        self._turn = turn
        self._rate = exact(video.average_rate) or exact(video.guessed_rate) or Fraction(25)
        self._ticks = _Ticks(exact(video.time_base) or Fraction(1, 90_000), self._rate)
        self._out = self._open_encoder(encoding)
        self._sound: dict[int, AudioStream] = {
            stream.index: writer.add_stream_from_template(stream)
            for stream in reader.streams.audio
            if _fits(stream)
        }
        self._next = 0
        self._next_possible = -(1 << 62)
        # AVI stores no times: frames leave the decoder in the order, and at the times, of the packets' own.
        self._stored: deque[int] | None = deque() if reader.format.name == "avi" else None
        writer.metadata["comment"] = MARK

    def run(self, stopped: Callable[[], bool]) -> None:
        """Do it, until the end or until stopped."""
        sound = [stream for stream in self._reader.streams.audio if stream.index in self._sound]
        for packet in packets_of(self._reader, self._video, *sound):
            if stopped():
                break
            if packet.stream.index == self._video.index:
                self._writer.mux(list(self._encode(packet)))
            elif packet.dts is not None:  # without one it is the demuxer's end marker
                packet.stream = self._sound[packet.stream.index]
                self._writer.mux(packet)
        self._writer.mux(self._out.encode(None))

    def _open_encoder(self, encoding: Encoding) -> VideoStream:
        out = self._writer.add_stream("libx265" if encoding.hevc else "libx264", rate=self._rate)
        context, source = out.codec_context, self._video.codec_context
        out.width, out.height = self._size
        kept = {form.name for form in context.codec.video_formats or ()}
        out.pix_fmt = source.pix_fmt if source.pix_fmt in kept else "yuv420p"
        out.time_base = context.time_base = self._ticks.out
        context.color_range = source.color_range
        context.colorspace = source.colorspace
        context.color_primaries = source.color_primaries
        context.color_trc = source.color_trc
        if source.sample_aspect_ratio:
            context.sample_aspect_ratio = source.sample_aspect_ratio
        options = {"preset": "ultrafast", "crf": _CRF[encoding.quality]}
        if encoding.hevc:
            out.codec_tag = "hvc1"  # the tag that Apple's players need
            options["x265-params"] = "log-level=error"
        context.options = options
        return out

    def _encode(self, packet: Packet) -> Iterator[Packet]:
        if self._stored is not None and packet.size and packet.dts is not None:
            self._stored.append(packet.dts)
        for frame in frames_in(packet):
            yield from self._out.encode(self._scale(frame))

    def _scale(self, frame: VideoFrame) -> VideoFrame:
        scaled = frame.reformat(
            *self._turn.shown(self._size),
            format=self._out.pix_fmt,
            interpolation=Interpolation.LANCZOS,
            src_colorspace=frame.colorspace,
            dst_colorspace=frame.colorspace,
            src_color_range=frame.color_range,
            dst_color_range=frame.color_range,
        )
        scaled = self._turn.apply(scaled)
        stamp = frame.pts
        if self._stored is not None:
            stamp = self._stored.popleft() if self._stored else None
        scaled.pts = max(self._next_possible, self._next if stamp is None else self._ticks.convert(stamp))
        self._next_possible = scaled.pts + 1
        scaled.time_base = self._ticks.out
        scaled.duration = round(1 / (self._rate * self._ticks.out))
        self._next = scaled.pts + scaled.duration
        return scaled


def _fits(sound: AudioStream) -> bool:
    # The wrapper has no context for a codec that it has no decoder for, whatever its type hints say.
    if sound.codec_context is None:  # pyright: ignore[reportUnnecessaryComparison]
        return False
    return codec_of(sound) in _MP4_SOUND


def _turn(source: Path) -> Turn:
    try:
        info = probe(source)
    except InvalidInput:
        raise InputRefused(Problem.DAMAGED, "The video could not be decoded.") from None
    return info.turn if isinstance(info, VideoInfo) else UPRIGHT


class _Ticks:
    """Turns the input's time stamps into the result's.

    Where the input's clock cannot tell the frame rate exactly (WebM counts milliseconds), stamps that are
    a frame's time but for rounding are put right; all others stay as they are.
    """

    def __init__(self, source: Fraction, rate: Fraction) -> None:
        self._source, self._rate = source, rate
        self._exact = (1 / (rate * source)).denominator == 1
        self.out = source if self._exact else Fraction(1, rate.numerator * ceil(90_000 / rate.numerator))

    def convert(self, stamp: int) -> int:
        """One time stamp, in ticks of ``out``."""
        if self._exact:
            return stamp
        time = stamp * self._source
        near = round(time * self._rate) / self._rate
        return round((near if abs(near - time) <= self._source else time) / self.out)


def _even(size: Size) -> Size:
    return size[0] + size[0] % 2, size[1] + size[1] % 2


def _check(size: Size, encoding: Encoding) -> None:
    if encoding.hevc and min(size) < _SHORTEST_HEVC_SIDE:
        raise InputRefused(
            Problem.PIXELS,
            f"{size[0]}x{size[1]} is too small for H.265: at least {_SHORTEST_HEVC_SIDE} a side.",
        )
    if size[0] * size[1] > MOST_PIXELS:
        raise InputRefused(Problem.PIXELS, f"{size[0]}x{size[1]} is more than {MOST_PIXELS} pixels.")


def _is_mp4(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] != b"qt  "
