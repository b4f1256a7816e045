"""Matroska and WebM: elements that hold metadata become Void elements of the same size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..spliced_file import SplicedFile
from .structure import Plan, Source

EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
DOC_TYPE = 0x4282
_SEEK_HEAD, _INFO, _TRACKS, _CUES, _CHAPTERS = 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1043A770
_TAGS, _ATTACHMENTS = 0x1254C367, 0x1941A469
_TRACK, _TRACK_NAME = 0xAE, 0x536E
_TIME_SCALE, _DURATION, _MUXER, _WRITER = 0x2AD7B1, 0x4489, 0x4D80, 0x5741
_VOID, _CHECKSUM = 0xEC, 0xBF

_OF_SEGMENT = frozenset(
    {_SEEK_HEAD, _INFO, _TRACKS, _CLUSTER, _CUES, _CHAPTERS, _TAGS, _ATTACHMENTS, _SEGMENT, EBML}
)
_KEPT_IN_SEGMENT = frozenset({_SEEK_HEAD, _INFO, _TRACKS, _CLUSTER, _CUES, _CHAPTERS})
_KEPT_IN_INFO = frozenset({_TIME_SCALE, _DURATION, _MUXER, _WRITER})


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
    id_width = _width(source, start)
    if id_width > 4:
        raise source.broken("there is something in it that is no element")
    size_at = start + id_width
    size_width = _width(source, size_at)
    content = size_at + size_width
    unknown = (1 << 7 * size_width) - 1
    size = source.number(size_at, size_width) & unknown
    if size == unknown:
        return Element(source.number(start, id_width), start, content, None)
    if content + size > stop:
        raise source.cut_off()
    return Element(source.number(start, id_width), start, content, content + size)


def _width(source: Source, offset: int) -> int:
    """How many bytes a variable-length number takes, by the zero bits that it begins with."""
    first = source.number(offset, 1)
    if not first:
        raise source.broken("there is something in it that is no element")
    return 9 - first.bit_length()


def strip(source: Source) -> SplicedFile:
    """Pictures, sound and subtitles alone, every byte of them where it was.

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
            _segment(source, plan, element.content, source.size if element.stop is None else element.stop)
            return plan.spliced_file()
        _blank(source, plan, element)
    raise source.broken("there is no clip in it")


def _segment(source: Source, plan: Plan, start: int, stop: int) -> None:
    """The segment's elements, which are all there is to the clip."""
    while start < stop:
        element = element_at(source, start, stop)
        end = element.stop
        if element.id == _CLUSTER:
            end = _cluster_end(source, element, stop)
            plan.keep(element.start, end)
        elif element.id == _INFO:
            end = _inside(source, plan, element, kept=_KEPT_IN_INFO)
        elif element.id == _TRACKS:
            end = _tracks(source, plan, element)
        elif element.id in _KEPT_IN_SEGMENT:
            end = _known(source, element)
            plan.keep(element.start, end)
        else:
            end = _blank(source, plan, element)
        start = end


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


def _inside(source: Source, plan: Plan, parent: Element, *, kept: frozenset[int]) -> int:
    end = _known(source, parent)
    plan.keep(parent.start, parent.content)
    for element in elements(source, parent.content, end):
        if element.id in kept:
            plan.keep(element.start, _known(source, element))
        else:
            _blank(source, plan, element)
    return end


def _tracks(source: Source, plan: Plan, tracks: Element) -> int:
    end = _known(source, tracks)
    plan.keep(tracks.start, tracks.content)
    for track in elements(source, tracks.content, end):
        if track.id != _TRACK:
            _blank(source, plan, track)
            continue
        plan.keep(track.start, track.content)
        for element in elements(source, track.content, _known(source, track)):
            if element.id in {_TRACK_NAME, _VOID, _CHECKSUM}:
                _blank(source, plan, element)
            else:
                plan.keep(element.start, _known(source, element))
    return end


def _blank(source: Source, plan: Plan, element: Element) -> int:
    end = _known(source, element)
    size = end - element.start
    # The id takes one byte; the size takes one, or eight where it may be large.
    if size < 9:
        plan.put(bytes([_VOID, 0x80 | (size - 2)]))
        plan.zeros(size - 2)
    else:
        plan.put(bytes([_VOID]) + ((1 << 56) | (size - 9)).to_bytes(8, "big"))
        plan.zeros(size - 9)
    return end


def _known(source: Source, element: Element) -> int:
    if element.stop is None:
        raise source.broken("a part that should say its size does not")
    return element.stop
