"""Pictures to an MP4 file, in the memory of a few frames."""

# PyAV's and torch's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import torch
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from ...api_clients.errors import InvalidInput
from ...api_clients.text import clean
from .audio import AudioWriter, check_audio
from .colour import tag_encoder, to_frame
from .parallel import single_threaded_opencv
from .stopping import go_on

_AHEAD = 2
"""Frames that are converted before the encoder asks for them."""
_FRUGAL = {"rc-lookahead": "4", "bf": "0"}
"""x264 keeps every frame that it looks ahead at, or codes out of order, several times over.

Without B-frames the clip is larger, but better, and made faster (`bench/bench_media_video.py`).
"""
_LARGEST = 16384
_LARGEST_TIME_BASE = (1 << 31) - 1
_HIGHEST_RATE = 1000
_LARGEST_TERM = 1 << 20
"""Of a frame rate's fraction; MP4's and H.264's time bases count in 32 bits."""


def write_video(
    frames: torch.Tensor,
    rate: Fraction,
    path: Path,
    *,
    audio: Mapping[str, Any] | None = None,
    preset: str = "veryfast",
    crf: int = 16,
) -> None:
    """Write a batch of pictures as an MP4 file with H.264. Blocking.

    The colours are BT.709 of limited range and say so. An odd width or height is written as 4:4:4, since
    H.264 can express it in 4:2:0 only by padding that players would show; other sizes as 4:2:0.

    Args:
        frames: [B, H, W, 3] of 0..1, any floating-point type, on any device; NaN counts as 0.
        rate: frames a second; kept exactly, or the nearest if a term of the fraction is above a million.
        path: where to write; what is there is replaced.
        audio: ComfyUI's AUDIO, ``waveform`` [1, C, T] and ``sample_rate``; written as AAC of the same rate,
            channels and length.
        preset: of x264, how much time it takes for fewer bytes.
        crf: of x264, the quality: 0 is lossless, 16 cannot be told from the original.

    Raises:
        InvalidInput: it is not a batch of RGB pictures, or the rate, the size or the sound cannot be written.
    """
    _check(frames)
    write_frames(frames, rate, path, audio=audio, preset=preset, crf=crf)


def write_frames(
    frames: Iterable[torch.Tensor],
    rate: Fraction,
    path: Path,
    *,
    audio: Mapping[str, Any] | None = None,
    preset: str = "veryfast",
    crf: int = 16,
) -> None:
    """As ``write_video``, of pictures that come one by one, each [H, W, 3] and of the same size. Blocking."""
    time_base = 1 / _usable_rate(rate)
    if audio is not None:
        check_audio(audio)
    try:
        options = container_options(time_base, audio)
        with single_threaded_opencv(), av.open(str(path), "w", format="mp4", options=options) as container:
            add_stream = partial(
                _add_video,
                container,
                time_base=time_base,
                options={"preset": preset, "crf": str(crf), **_FRUGAL},
            )
            encode(container, _converted(frames), time_base, audio, add_stream)
    except (FFmpegError, ValueError, OverflowError) as error:
        path.unlink(missing_ok=True)
        raise InvalidInput(
            f"The clip cannot be written to {path}: {clean(error)}.",
            hint="Check the frame size and the free disk space.",
        ) from None
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def container_options(time_base: Fraction, audio: Mapping[str, Any] | None) -> dict[str, str]:
    """Options of an MP4 file whose lengths are to be exact."""
    # The file states lengths in units of this time base; with the usual 1000 they would be rounded.
    ticks = time_base.denominator
    if audio is not None and math.lcm(ticks, audio["sample_rate"]) <= _LARGEST_TIME_BASE:
        ticks = math.lcm(ticks, audio["sample_rate"])
    return {"movflags": "+faststart", "movie_timescale": str(ticks)}


def encode(
    container: OutputContainer,
    frames: Iterable[av.VideoFrame],
    time_base: Fraction,
    audio: Mapping[str, Any] | None,
    add_stream: Callable[[av.VideoFrame], VideoStream],
) -> None:
    """Encode frames, each as long as the time base, and the sound beside them.

    Args:
        container: where to; nothing is in it yet.
        frames: of the same size and format; their times are set here.
        time_base: seconds of a frame.
        audio: ComfyUI's AUDIO.
        add_stream: adds the stream of the pictures, given the first one.
    """
    video: VideoStream | None = None
    audio_writer: AudioWriter | None = None
    for number, frame in enumerate(frames):
        go_on()
        if video is None:
            video = add_stream(frame)
            audio_writer = None if audio is None else AudioWriter(container, audio)
        if audio_writer is not None:
            audio_writer.write_until(number * time_base)
        frame.pts = number
        frame.time_base = time_base
        _mux(container, video, frame)
    if video is not None:
        _mux(container, video, None)
    if audio_writer is not None:
        audio_writer.write_until(None)


def _mux(container: OutputContainer, video: VideoStream, frame: av.VideoFrame | None) -> None:
    for packet in video.encode(frame):
        # Said, not left to the muxer to guess: how long the last frame, or the only one, is shown.
        packet.duration = 1
        container.mux(packet)


def _add_video(
    container: OutputContainer, frame: av.VideoFrame, time_base: Fraction, options: dict[str, str]
) -> VideoStream:
    stream = container.add_stream("libx264", rate=1 / time_base, options=options)
    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
    stream.codec_context.time_base = time_base
    tag_encoder(stream.codec_context)
    return stream


def _converted(frames: Iterable[torch.Tensor]) -> Iterator[av.VideoFrame]:
    """The pictures as frames, the next ones being converted in a thread meanwhile."""
    waiting: deque[Future[av.VideoFrame]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="remote-upscale-colour") as pool:
        for image in frames:
            waiting.append(pool.submit(to_frame, image))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _check(frames: torch.Tensor) -> None:
    if frames.ndim != 4 or not frames.is_floating_point():
        raise InvalidInput(
            f"The pictures are {frames.dtype} of shape {list(frames.shape)}, not floats [B, H, W, 3].",
            hint="Connect a batch of pictures.",
        )
    count, height, width, channels = frames.shape
    if channels == 4:
        raise InvalidInput(
            "The pictures have alpha, which a clip cannot hold.",
            hint="Remove the alpha first, for example by placing the pictures on a background.",
        )
    if channels != 3:
        raise InvalidInput(f"The pictures have {channels} channels, a clip 3.", hint="Convert them to RGB.")
    if not count or not height or not width:
        raise InvalidInput(f"There is no picture in a batch of shape {list(frames.shape)}.")
    if max(height, width) > _LARGEST:
        raise InvalidInput(
            f"The pictures are {width} x {height}; a clip's are at most {_LARGEST} on a side.",
            hint="Make them smaller.",
        )


def _usable_rate(rate: Fraction) -> Fraction:
    if not 0 < rate <= _HIGHEST_RATE:
        raise InvalidInput(
            f"{float(rate):g} frames per second cannot be written.",
            hint=f"Use a rate of at most {_HIGHEST_RATE}.",
        )
    if max(rate.numerator, rate.denominator) <= _LARGEST_TERM:
        return rate
    near = rate.limit_denominator(max(1, min(_LARGEST_TERM, int(_LARGEST_TERM / rate))))
    if not near:
        raise InvalidInput(f"{float(rate):g} frames per second are too few.", hint="Use a higher rate.")
    return near
