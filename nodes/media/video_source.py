"""ComfyUI's VIDEO as the file that is sent: the very file it stands for wherever that is possible."""

# PyAV's and torch's own annotations are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ...api_clients.errors import InvalidInput
from ...api_clients.files.sniff import SUFFIXES
from ...api_clients.models import Limits
from .audio import check_audio, other_sound, read_audio
from .timeline import Timeline, format_of_video, opened, read_timeline
from .video_hdr import Tags, write_codes
from .video_read import Decoder, codes_of, images_of
from .video_remux import copy_range
from .video_write import write_frames, write_video


class Video(Protocol):
    """What is used of ComfyUI's VIDEO."""

    def get_stream_source(self) -> str | io.BytesIO:
        """The file, or what is in it."""
        ...

    def get_active_trim_window(self) -> tuple[float, float]:
        """Start and length in seconds of the part that is meant; a length of 0 is to the end."""
        ...

    def get_components(self) -> Any:
        """Decoded: ``images``, ``audio``, ``frame_rate``."""
        ...


@dataclass(frozen=True)
class SourceFile:
    """A clip as a file.

    Attributes:
        path: of the file.
        temporary: whether it was made here, so that the caller deletes it.
        note: what was done, as a sentence; empty if it is the file that the VIDEO stands for.
    """

    path: Path
    temporary: bool
    note: str = ""


def as_file(video: Video, folder: Path, limits: Limits) -> SourceFile:
    """The file to send for a VIDEO, with as little done to it as possible. Blocking.

    A file that a model takes stays what it is. A trimmed one, or one in another container, is copied without
    encoding if the cut falls on frames that allow it; otherwise exactly the frames wanted are encoded anew.

    Args:
        video: ComfyUI's VIDEO.
        folder: where to put a file, if one has to be made.
        limits: what the model takes.

    Raises:
        InvalidInput: it cannot be read, or nothing is left of it after trimming.
    """
    if is_made_of_images(video):
        return _of_images(video, folder)
    source = video.get_stream_source()
    if not isinstance(source, io.BytesIO):
        return _of_file(Path(source), video, folder, limits)
    with _new(folder) as held:
        _write(source, held)
        made = _of_file(held, video, folder, limits)
        if made.path != held:
            held.unlink()
            return made
        return SourceFile(held.rename(held.with_suffix(SUFFIXES[format_of_video(held)])), temporary=True)


@contextmanager
def stored_file(video: Video, folder: Path) -> Generator[Path]:
    """The file behind a VIDEO, whole, whatever part of it is meant. Blocking.

    Args:
        video: one that is not made of pictures.
        folder: for a file that is deleted afterwards, where the VIDEO holds its bytes in memory.
    """
    source = video.get_stream_source()
    if not isinstance(source, io.BytesIO):
        yield Path(source)
        return
    with _new(folder) as held:
        _write(source, held)
        try:
            yield held
        finally:
            held.unlink()


def _write(source: io.BytesIO, path: Path) -> None:
    with path.open("wb") as file:
        shutil.copyfileobj(source, file)


def is_made_of_images(video: Video) -> bool:
    """Whether there is no file behind a VIDEO, so that asking for one would make ComfyUI encode it.

    Then its class leaves ``get_stream_source`` to the abstract class that it comes from.
    """
    owner = next((kind for kind in type(video).__mro__ if "get_stream_source" in vars(kind)), object)
    return bool(getattr(vars(owner).get("get_components"), "__isabstractmethod__", False))


def _of_images(video: Video, folder: Path) -> SourceFile:
    parts = video.get_components()
    with _new(folder) as path:
        write_video(parts.images, Fraction(parts.frame_rate), path, audio=parts.audio or None)
    return SourceFile(path, temporary=True, note="The pictures were encoded as a clip (H.264, crf 16).")


def _of_file(path: Path, video: Video, folder: Path, limits: Limits) -> SourceFile:
    start, length = video.get_active_trim_window()
    if not start and not length and format_of_video(path) in limits.formats:
        return SourceFile(path, temporary=False)
    timeline = read_timeline(path)
    first, stop = window(timeline, Fraction(start), Fraction(length))
    frames = f"{stop - first} frames from number {first}" if start or length else "The clip"
    verb = "were" if start or length else "was"
    with _new(folder) as copy:
        changed = copy_range(path, copy, timeline, first, stop)
        if changed is not None:
            note = " ".join([f"{frames} {verb} copied into MP4 without re-encoding.", *changed])
            return SourceFile(copy, temporary=True, note=note)
        codec, warnings = _encode(path, copy, timeline, first, stop)
    sentence = f"{frames} {verb} re-encoded ({codec}, crf 16), because it could not be copied exactly."
    return SourceFile(copy, temporary=True, note=" ".join([sentence, *warnings]))


def window(timeline: Timeline, start: Fraction, length: Fraction) -> tuple[int, int]:
    """The first stored frame of a trimmed clip, and the one behind its last."""
    if timeline.times is None:
        first = int(start * timeline.rate)
        stop = first + int(length * timeline.rate) if length else timeline.frames
    else:
        begin, end = int(start / timeline.time_base), int((start + length) / timeline.time_base)
        first = int(np.searchsorted(timeline.times, begin))
        stop = int(np.searchsorted(timeline.times, end)) if length else timeline.frames
    stop = min(stop, timeline.frames)
    if first >= stop:
        raise InvalidInput(
            f"Nothing is left of the clip from second {float(start):g} on.", hint="Trim it less."
        )
    return first, stop


def _encode(path: Path, copy: Path, timeline: Timeline, first: int, stop: int) -> tuple[str, list[str]]:
    """Encode stored frames and their sound anew: how, and what is odd, as sentences."""
    ticks = np.flatnonzero((timeline.frame_index >= first) & (timeline.frame_index < stop))
    with opened(path) as (_, clip):
        tags = Tags.of(clip.video.codec_context)
    decoder = Decoder(path, timeline, as_codes=tags.hdr)
    begin = timeline.start + int(ticks[0]) / timeline.rate
    length = None if stop == timeline.frames else len(ticks) / timeline.rate
    audio = read_audio(path, begin, length)
    warnings = other_sound(timeline.sound_tracks)
    if audio is not None:
        try:
            check_audio(audio)
        except InvalidInput as error:
            warnings.append(f"{error.message} It was left out.")
            audio = None
    indices = timeline.frame_index[ticks]
    if tags.hdr:
        write_codes(codes_of(decoder, indices), timeline.rate, copy, tags, audio=audio)
        return "H.265 of 10 bits, HDR as it is", decoder.warnings + warnings
    write_frames(images_of(decoder, indices), timeline.rate, copy, audio=audio)
    return "H.264", decoder.warnings + warnings


@contextmanager
def _new(folder: Path) -> Generator[Path, None, None]:
    """A new file, which is deleted again if what is done with it fails."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix="clip-", suffix=".mp4", delete=False) as file:
        path = Path(file.name)
    try:
        yield path
    except BaseException:
        path.unlink(missing_ok=True)
        raise
