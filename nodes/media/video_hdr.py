"""HDR clips, encoded anew in 10 bits and with their tags, without going through pictures."""

# PyAV's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer

from ...api_clients.errors import InvalidInput
from ...api_clients.files.open_video import DAMAGED
from ...api_clients.files.turn import Turn
from ...api_clients.files.turner import Turner
from ...api_clients.text import clean
from .colour import HDR
from .video_write import container_options, encode

_SHORTEST_SIDE = 64
"""x265 writes past its buffers with some narrower pictures, which ends the whole process."""
_KEPT = frozenset({"yuv420p10le", "yuv422p10le", "yuv444p10le"})
_OPTIONS = {"preset": "fast", "crf": "16", "x265-params": "log-level=error"}


@dataclass(frozen=True)
class Tags:
    """What a clip says of its colours, by the numbers of ITU-T H.273."""

    primaries: int
    transfer: int
    matrix: int
    full_range: int

    @classmethod
    def of(cls, decoder: av.VideoCodecContext) -> Tags:
        """Those that a decoder knows."""
        return cls(
            int(decoder.color_primaries),
            int(decoder.color_trc),
            int(decoder.colorspace),
            int(decoder.color_range),
        )

    @property
    def hdr(self) -> bool:
        """Whether it is HDR."""
        return self.transfer in HDR


def write_codes(
    frames: Iterable[av.VideoFrame],
    rate: Fraction,
    path: Path,
    tags: Tags,
    *,
    audio: Mapping[str, Any] | None = None,
) -> None:
    """Write frames as an MP4 file with H.265 of 10 bits, upright. Blocking.

    Args:
        frames: as decoded, of the same size and turned the same way.
        rate: frames a second.
        path: where to write; what is there is replaced.
        tags: what their codes mean.
        audio: ComfyUI's AUDIO.

    Raises:
        InvalidInput: they are too small for the encoder, or cannot be written.
    """
    try:
        options = container_options(1 / rate, audio)
        with av.open(str(path), "w", format="mp4", options=options) as container:
            add_stream = partial(_add_video, container, rate=rate, tags=tags)
            encode(container, _prepared(frames), 1 / rate, audio, add_stream)
    except DAMAGED as error:
        path.unlink(missing_ok=True)
        raise InvalidInput(f"The HDR clip cannot be encoded: {clean(error)}.") from None
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _prepared(frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """The frames upright, in a format that the encoder takes."""
    turner: Turner | None = None
    pixels = ""
    for given in frames:
        if turner is None:
            turner = Turner(Turn.of(given))
            _check(turner.shown((given.width, given.height)))
            pixels = given.format.name if given.format.name in _KEPT else "yuv420p10le"
        frame = turner.apply(given.reformat(format=pixels))
        frame.pict_type = 0
        yield frame


def _check(size: tuple[int, int]) -> None:
    if min(size) < _SHORTEST_SIDE:
        raise InvalidInput(
            f"The HDR clip is {size[0]} x {size[1]}; H.265 needs at least {_SHORTEST_SIDE} on a side.",
            hint="Convert it to SDR (BT.709) with a tone-mapping tool first.",
        )


def _add_video(container: OutputContainer, frame: av.VideoFrame, rate: Fraction, tags: Tags) -> Any:
    stream: Any = container.add_stream("libx265", rate=rate, options=_OPTIONS)
    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
    stream.codec_tag = "hvc1"  # the tag that Apple's players need
    context = stream.codec_context
    context.time_base = 1 / rate
    context.color_primaries, context.color_trc = tags.primaries, tags.transfer
    context.colorspace, context.color_range = tags.matrix, tags.full_range
    return stream
