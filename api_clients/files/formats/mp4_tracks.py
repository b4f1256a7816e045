"""MP4 and MOV: which tracks there are, and where in the file the samples of those are that are left out."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from .mp4_boxes import Box, boxes, first_box
from .structure import Source

_SEEN_OR_HEARD = frozenset({b"vide", b"soun", b"m1a "})
_SUBTITLES = frozenset({b"sbtl", b"subt", b"text", b"clcp", b"subp"})
_BASE, _DESCRIPTION, _DURATION, _SIZE, _BASE_IS_MOOF = 0x1, 0x2, 0x8, 0x10, 0x20000
_RUN_OFFSET, _RUN_FLAGS, _RUN_DURATIONS, _RUN_SIZES = 0x1, 0x4, 0x100, 0x200
_RUN_FIELDS = (_RUN_DURATIONS, _RUN_SIZES, 0x400, 0x800)

Span = tuple[int, int]
"""Where bytes start and stop in the file."""


@dataclass(frozen=True)
class Track:
    """A track of a clip.

    Attributes:
        id: which fragments and other tracks call it.
        box: the box ``trak`` that describes it.
        handler: what kind of track it is, four letters; empty where nothing says it.
        chapters: the ids of the tracks with the titles or pictures of its chapters.
    """

    id: int
    box: Box
    handler: bytes
    chapters: frozenset[int]


@dataclass(frozen=True)
class Tracks:
    """A clip's tracks: those that are seen or heard, all others, and whether subtitles are among these."""

    kept: tuple[Track, ...]
    dropped: tuple[Track, ...]
    subtitles: bool


def read_tracks(source: Source, movies: list[Box]) -> Tracks:
    """The tracks of a clip.

    Args:
        source: the file.
        movies: its boxes ``moov``.

    Raises:
        InvalidInput: their structure is damaged.
    """
    found = [
        _track(source, box)
        for movie in movies
        for box in boxes(source, movie.content, movie.stop)
        if box.name == b"trak"
    ]
    chapters = frozenset[int]().union(*(track.chapters for track in found))
    kept = tuple(t for t in found if t.handler in _SEEN_OR_HEARD and t.id not in chapters)
    dropped = tuple(track for track in found if track not in kept)
    return Tracks(kept, dropped, any(t.handler in _SUBTITLES and t.id not in chapters for t in dropped))


def references(source: Source, box: Box) -> frozenset[int]:
    """The ids of tracks that a box inside ``tref`` names."""
    data = source.at(box.content, (box.stop - box.content) // 4 * 4)
    return frozenset(int.from_bytes(data[at : at + 4], "big") for at in range(0, len(data), 4))


def _track(source: Source, box: Box) -> Track:
    header, handler = first_box(source, box, b"tkhd"), first_box(source, box, b"mdia", b"hdlr")
    named = first_box(source, box, b"tref", b"chap")
    return Track(
        id=0 if header is None else _track_id(source, header),
        box=box,
        handler=b"" if handler is None else source.up_to(handler.content + 8, 4),
        chapters=frozenset() if named is None else references(source, named),
    )


def _track_id(source: Source, header: Box) -> int:
    wide = source.number(header.content, 1) == 1
    return source.number(header.content + (20 if wide else 12), 4)


def stored_samples(source: Source, track: Track) -> Iterator[Span]:
    """Where the samples of a track are that its own tables list, chunk by chunk.

    Raises:
        InvalidInput: the structure is damaged.
    """
    table = first_box(source, track.box, b"mdia", b"minf", b"stbl")
    found = {} if table is None else {box.name: box for box in boxes(source, table.content, table.stop)}
    runs = _words(source, found.get(b"stsc"), 8)
    if b"co64" in found:
        offsets = _words(source, found[b"co64"], 8, width=8)
    else:
        offsets = _words(source, found.get(b"stco"), 8)
    sizes = _sizes(source, found)
    before = list(accumulate(sizes, initial=0)) if isinstance(sizes, tuple) else []
    sample = 0
    for chunk, count in _chunks(runs, len(offsets)):
        if isinstance(sizes, tuple):
            first, sample = sample, min(sample + count, len(sizes))
            length = before[sample] - before[first]
        else:
            length = count * sizes
        if length:
            yield offsets[chunk], offsets[chunk] + length


def _chunks(runs: tuple[int, ...], chunks: int) -> Iterator[tuple[int, int]]:
    """Each chunk's number, from 0 on, and how many samples it has.

    Args:
        runs: for each run of chunks alike the number of its first one, from 1 on, their samples, and a
            description.
        chunks: how many there are.
    """
    firsts = [*(first - 1 for first in runs[::3]), chunks]
    reached = 0  # never back, however damaged the table is
    for index, count in enumerate(runs[1::3]):
        for chunk in range(max(reached, firsts[index]), min(firsts[index + 1], chunks)):
            yield chunk, count
            reached = chunk + 1


def _sizes(source: Source, found: dict[bytes, Box]) -> tuple[int, ...] | int:
    """The size of each sample in bytes, or that of all of them."""
    if b"stz2" in found:
        return _small_sizes(source, found[b"stz2"])
    header = _words(source, found.get(b"stsz"), 4)
    return header[0] or header[2:] if header else ()


def _small_sizes(source: Source, box: Box) -> tuple[int, ...]:
    width = source.number(box.content + 7, 1)
    data = source.at(box.content + 12, max(0, box.stop - box.content - 12))
    if width == 16:
        return struct.unpack(f">{len(data) // 2}H", data[: len(data) // 2 * 2])
    if width == 4:
        return tuple(half for byte in data for half in (byte >> 4, byte & 15))
    return tuple(data)


def _words(source: Source, box: Box | None, skipped: int, *, width: int = 4) -> tuple[int, ...]:
    """The numbers that a table consists of behind its first bytes."""
    count = 0 if box is None else (box.stop - box.content - skipped) // width
    if box is None or count <= 0:
        return ()
    data = source.at(box.content + skipped, count * width)
    return struct.unpack(f">{count}{'I' if width == 4 else 'Q'}", data)


def default_sizes(source: Source, movies: list[Box]) -> dict[int, int]:
    """The size in bytes of each track's samples in fragments that do not tell it."""
    found: dict[int, int] = {}
    for movie in movies:
        extends = first_box(source, movie, b"mvex")
        if extends is None:
            continue
        for box in boxes(source, extends.content, extends.stop):
            if box.name == b"trex":
                found[source.number(box.content + 4, 4)] = source.number(box.content + 16, 4)
    return found


def fragment_id(source: Source, fragment: Box) -> int:
    """The id of the track that a box ``traf`` is a part of; 0 where nothing says it."""
    header = first_box(source, fragment, b"tfhd")
    return 0 if header is None else source.number(header.content + 4, 4)


def fragment_samples(
    source: Source, moof: Box, ids: frozenset[int], defaults: dict[int, int]
) -> Iterator[Span]:
    """Where the samples of some tracks are that a box ``moof`` lists, run by run.

    Args:
        source: the file.
        moof: the box.
        ids: of these tracks.
        defaults: as ``default_sizes`` tells them.

    Raises:
        InvalidInput: the structure is damaged.
    """
    reached = moof.start
    for fragment in boxes(source, moof.content, moof.stop):
        header = first_box(source, fragment, b"tfhd") if fragment.name == b"traf" else None
        if header is None:
            continue
        flags, track = source.number(header.content + 1, 3), source.number(header.content + 4, 4)
        at, base, size = header.content + 8, reached, defaults.get(track, 0)
        if flags & _BASE:
            base, at = source.number(at, 8), at + 8
        elif flags & _BASE_IS_MOOF:
            base = moof.start
        at += 4 * bool(flags & _DESCRIPTION) + 4 * bool(flags & _DURATION)
        if flags & _SIZE:
            size = source.number(at, 4)
        reached = base
        for run in boxes(source, fragment.content, fragment.stop):
            if run.name == b"trun":
                start, reached = _run(source, run, base, reached, size)
                if track in ids and reached > start:
                    yield start, reached


def _run(source: Source, run: Box, base: int, reached: int, size: int) -> Span:
    """Where the samples of a ``trun`` are."""
    flags, count, at = source.number(run.content + 1, 3), source.number(run.content + 4, 4), run.content + 8
    start = reached
    if flags & _RUN_OFFSET:
        start, at = base + int.from_bytes(source.at(at, 4), "big", signed=True), at + 4
    at += 4 * bool(flags & _RUN_FLAGS)
    if not flags & _RUN_SIZES:
        return start, start + count * size
    fields = [field for field in _RUN_FIELDS if flags & field]
    words = max(0, run.stop - at) // 4
    data = struct.unpack(f">{words}I", source.at(at, 4 * words))
    return start, start + sum(data[fields.index(_RUN_SIZES) :: len(fields)][:count])
