"""Matroska and WebM: elements that hold metadata become Void elements of the same size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..spliced_file import SplicedFile
from .structure import SUBTITLES, Plan, Source

EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
DOC_TYPE = 0x4282
_SEEK_HEAD, _INFO, _TRACKS, _CUES, _CHAPTERS = 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1043A770
_TAGS, _ATTACHMENTS = 0x1254C367, 0x1941A469
_TIME_SCALE, _DURATION, _MUXER, _WRITER = 0x2AD7B1, 0x4489, 0x4D80, 0x5741
_TRACK, _NUMBER, _TYPE = 0xAE, 0xD7, 0x83
_VIDEO, _AUDIO, _SUBTITLE = 1, 2, 17
_GROUP, _BLOCK, _SIMPLE_BLOCK = 0xA0, 0xA1, 0xA3
_POINT, _POSITIONS, _POINT_TRACK = 0xBB, 0xB7, 0xF7
_VOID, _CHECKSUM = 0xEC, 0xBF

_OF_SEGMENT = frozenset(
    {_SEEK_HEAD, _INFO, _TRACKS, _CLUSTER, _CUES, _CHAPTERS, _TAGS, _ATTACHMENTS, _SEGMENT, EBML}
)
_KEPT_IN_INFO = frozenset({_TIME_SCALE, _DURATION})
_PROGRAMS = frozenset({_MUXER, _WRITER})
"""Names of programs, without which a file is not valid; they become empty."""
_TELLING = b"Lavf"
"""A version of FFmpeg, by which its readers know of errors in what it wrote."""
_KEPT_IN_TRACK = frozenset(
    {
        *(_NUMBER, _TYPE, 0x73C5, 0xB9, 0x88, 0x55AA, 0x55AB, 0x55AC, 0x55AD, 0x55AE, 0x55AF, 0x9C),  # flags
        *(0x6DE7, 0x6DF8, 0x23E383, 0x234E7A, 0x23314F, 0x537F, 0x56AA, 0x56BB, 0x6624),  # times
        *(0x55EE, 0x41E4, 0x22B59C, 0x22B59D, 0x86, 0x63A2, 0xAA, 0x6FAB, 0x6D80),  # codec and language
        *(0xE0, 0xE1, 0xE2, 0xC0, 0xC1, 0xC6, 0xC7, 0xC4),  # picture, sound, and tracks that belong together
    }
)
_HEAD = 24
"""Bytes that are read at once: an id, a size, and the start of the content."""


@dataclass(frozen=True)
class Element:
    """An element: its id, where it starts, where its content starts, where it stops (``None``: not said)."""

    id: int
    start: int
    content: int
    stop: int | None


def elements(source: Source, start: int, stop: int) -> Iterator[Element]:
    """The elements between two offsets. Ends behind the first whose size is not said.

    Raises:
        InvalidInput: what is there is no element, or it reaches beyond ``stop``.
    """
    while start < stop:
        element = element_at(source, start, stop)
        yield element
        if element.stop is None:
            return
        start = element.stop


def element_at(source: Source, start: int, stop: int) -> Element:
    """The element at ``start``; raises as ``elements`` does."""
    head = source.up_to(start, _HEAD)
    id_, id_width = _number(source, head)
    size, size_width = _number(source, head[id_width:])
    if id_width > 4:
        raise source.broken("there is something in it that is no element")
    content = start + id_width + size_width
    unknown = (1 << 7 * size_width) - 1
    size &= unknown
    if size == unknown:
        return Element(id_, start, content, None)
    if content + size > stop:
        raise source.cut_off()
    return Element(id_, start, content, content + size)


def _number(source: Source, data: bytes) -> tuple[int, int]:
    """A variable-length number that data begin with, with its marker, and how many bytes it takes."""
    if not data:
        raise source.cut_off()
    if not data[0]:
        raise source.broken("there is something in it that is no element")
    width = 9 - data[0].bit_length()
    if width > len(data):
        raise source.cut_off()
    return int.from_bytes(data[:width], "big"), width


def strip(source: Source) -> SplicedFile:
    """Picture and sound alone, every byte of them where it was.

    Raises:
        InvalidInput: it is no Matroska or WebM, or damaged.
    """
    plan = Plan(source)
    header = element_at(source, 0, source.size)
    if header.id != EBML or header.stop is None:
        raise source.broken("it does not begin like one")
    plan.keep(0, header.stop)
    for element in elements(source, header.stop, source.size):
        if element.id == _SEGMENT:
            plan.keep(element.start, element.content)
            stop = source.size if element.stop is None else element.stop
            _Segment(source, plan, _dropped(source, element.content, stop)).strip(element.content, stop)
            return plan.spliced_file()
        _blank(source, plan, element)
    raise source.broken("there is no clip in it")


def _dropped(source: Source, start: int, stop: int) -> dict[int, int]:
    """The types of the tracks that are neither picture nor sound, by their numbers."""
    while start < stop:
        element = element_at(source, start, stop)
        if element.id == _TRACKS:
            tracks = elements(source, element.content, _known(source, element))
            found = [_number_and_type(source, track) for track in tracks if track.id == _TRACK]
            return {number: kind for number, kind in found if kind not in {_VIDEO, _AUDIO}}
        start = _cluster_end(source, element, stop) if element.id == _CLUSTER else _known(source, element)
    return {}


def _number_and_type(source: Source, track: Element) -> tuple[int, int]:
    found = {_NUMBER: 0, _TYPE: 0}
    for element in elements(source, track.content, _known(source, track)):
        if element.id in found:
            found[element.id] = _unsigned(source, element)
    return found[_NUMBER], found[_TYPE]


def _unsigned(source: Source, element: Element) -> int:
    return source.number(element.content, min(8, _known(source, element) - element.content))


def _cluster_end(source: Source, cluster: Element, stop: int) -> int:
    """Where a cluster ends; one of unknown size ends before the next element of the segment's level."""
    if cluster.stop is not None:
        return cluster.stop
    start = cluster.content
    while start < stop:
        element = element_at(source, start, stop)
        if element.id in _OF_SEGMENT:
            return start
        start = _known(source, element)
    return stop


class _Segment:
    """Strips a segment, which is all there is to the clip."""

    def __init__(self, source: Source, plan: Plan, dropped: dict[int, int]) -> None:
        self._source = source
        self._plan = plan
        self._dropped = dropped
        if _SUBTITLE in dropped.values():
            plan.note(SUBTITLES)

    def strip(self, start: int, stop: int) -> None:
        """The segment's elements between two offsets."""
        while start < stop:
            element = element_at(self._source, start, stop)
            if element.id == _CLUSTER:
                end = _cluster_end(self._source, element, stop)
                self._cluster(element, end)
            else:
                end = _known(self._source, element)
                self._element(element)
            start = end

    def _element(self, element: Element) -> None:
        if element.id == _INFO:
            self._info(element)
        elif element.id == _TRACKS:
            self._tracks(element)
        elif element.id == _CUES and self._dropped:
            self._cues(element)
        elif element.id in {_SEEK_HEAD, _CUES}:
            self._keep(element)
        else:
            self._blank(element)

    def _info(self, info: Element) -> None:
        for element in self._inside(info):
            if element.id in _PROGRAMS:
                start = element.content
                told = self._source.up_to(start, len(_TELLING)) == _TELLING and element.id == _MUXER
                self._plan.keep(element.start, _known(self._source, element) if told else start)
                self._plan.zeros(0 if told else _known(self._source, element) - start)
            elif element.id in _KEPT_IN_INFO:
                self._keep(element)
            else:
                self._blank(element)

    def _tracks(self, tracks: Element) -> None:
        for track in self._inside(tracks):
            if track.id != _TRACK or _number_and_type(self._source, track)[0] in self._dropped:
                self._blank(track)
                continue
            for element in self._inside(track):
                if element.id in _KEPT_IN_TRACK:
                    self._keep(element)
                else:
                    self._blank(element)

    def _cues(self, cues: Element) -> None:
        """Without the places of what is left out, about which readers would complain."""
        for point in self._inside(cues):
            if point.id != _POINT:
                self._blank(point)
                continue
            parts = list(elements(self._source, point.content, _known(self._source, point)))
            blank = [part for part in parts if part.id == _POSITIONS and self._points_to_dropped(part)]
            if len(blank) == sum(part.id == _POSITIONS for part in parts):
                self._blank(point)
                continue
            for part in self._inside(point):
                self._blank(part) if part in blank else self._keep(part)

    def _points_to_dropped(self, positions: Element) -> bool:
        parts = elements(self._source, positions.content, _known(self._source, positions))
        return any(p.id == _POINT_TRACK and _unsigned(self._source, p) in self._dropped for p in parts)

    def _cluster(self, cluster: Element, stop: int) -> None:
        """Where nothing is dropped, it is not looked into."""
        if not self._dropped:
            self._plan.keep(cluster.start, stop)
            return
        self._plan.keep(cluster.start, cluster.content)
        for element in elements(self._source, cluster.content, stop):
            if element.id in {_VOID, _CHECKSUM} or self._of_dropped(element):
                self._blank(element)
            else:
                self._keep(element)

    def _of_dropped(self, element: Element) -> bool:
        """Whether an element of a cluster belongs to a track that is left out."""
        if element.id == _GROUP:
            inside = elements(self._source, element.content, _known(self._source, element))
            return any(part.id == _BLOCK and self._of_dropped(part) for part in inside)
        if element.id not in {_BLOCK, _SIMPLE_BLOCK}:
            return False
        number, width = _number(self._source, self._source.up_to(element.content, 8))
        return number & ((1 << 7 * width) - 1) in self._dropped

    def _inside(self, parent: Element) -> Iterator[Element]:
        """Keep an element's head; its elements, of which each is then kept or blanked."""
        self._plan.keep(parent.start, parent.content)
        return elements(self._source, parent.content, _known(self._source, parent))

    def _keep(self, element: Element) -> None:
        self._plan.keep(element.start, _known(self._source, element))

    def _blank(self, element: Element) -> None:
        _blank(self._source, self._plan, element)


def _blank(source: Source, plan: Plan, element: Element) -> None:
    end = _known(source, element)
    size = end - element.start
    # The id takes one byte; the size takes one, or eight where it may be large.
    if size < 9:
        plan.put(bytes([_VOID, 0x80 | (size - 2)]))
        plan.zeros(size - 2)
    else:
        plan.put(bytes([_VOID]) + ((1 << 56) | (size - 9)).to_bytes(8, "big"))
        plan.zeros(size - 9)


def _known(source: Source, element: Element) -> int:
    if element.stop is None:
        raise source.broken("a part that should say its size does not")
    return element.stop
