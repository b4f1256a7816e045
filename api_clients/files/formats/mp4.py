"""MP4 and MOV: what holds metadata becomes ``free`` boxes or zeros of the same size, so no offset changes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable

from ...errors import InvalidInput
from ..spliced_file import SplicedFile
from .icc import public_profile
from .mp4_boxes import Box, boxes
from .mp4_tracks import (
    Span,
    default_sizes,
    fragment_id,
    fragment_samples,
    read_tracks,
    references,
    stored_samples,
)
from .structure import SUBTITLES, Plan, Source

_INSIDE = {
    b"file": frozenset(b"ftyp styp moov moof mdat sidx ssix mfra pdin".split()),
    b"moov": frozenset(b"mvhd trak mvex iods pssh clip ctab".split()),
    b"mvex": frozenset(b"mehd trex trep leva".split()),
    b"trak": frozenset(b"tkhd edts mdia tref tapt load matt clip txas imap trgr".split()),
    b"mdia": frozenset(b"mdhd hdlr elng minf".split()),
    b"minf": frozenset(b"vmhd smhd hmhd nmhd sthd gmhd hdlr dinf stbl".split()),
    b"dinf": frozenset({b"dref"}),
    b"stbl": frozenset(
        b"stsd stts ctts cslg stss stps stsc stsz stz2 stco co64 stsh sdtp stdp padb "
        b"sbgp sgpd subs saiz saio senc".split()
    ),
    b"moof": frozenset(b"mfhd traf pssh".split()),
    b"traf": frozenset(b"tfhd tfdt trun sbgp sgpd subs saiz saio senc".split()),
}
"""What is kept in each container; everything else in it is blanked."""

_PICTURE_FIELDS = 78
"""Bytes of a picture's sample description before the boxes in it."""
_ENCODER = slice(42, 74)
_TELLING = (b"Planar Y'CbCr 8-bit 4:2:0", b"Sorenson H263")
"""Names of encoders by which readers tell how the pictures are stored."""
_PRIVATE = frozenset(b"uuid udta meta name free skip".split())
_MOST_BOXES = 500_000
_TOP_LEVEL = _INSIDE[b"file"] | frozenset(b"free skip wide uuid udta meta prft emsg pnot PICT".split())


def strip(source: Source) -> SplicedFile:
    """Picture and sound alone, every byte of them where it was.

    Raises:
        InvalidInput: it is no MP4 or MOV, is damaged, or its index is compressed.
    """
    top = list(_top(source))
    movies = [box for box in top if box.name == b"moov"]
    if not movies:
        raise source.broken("it has no index of its content (a recording that was not finished?)")
    plan = Plan(source)
    stripper = _Stripper(source, plan, top, movies)
    stripper.level(top, 0, source.size, b"file")
    return plan.spliced_file()


def _top(source: Source) -> list[Box]:
    """The file's boxes. Bytes behind the last one, which belong to none, end them."""
    found: list[Box] = []
    try:
        for box in boxes(source, 0, source.size):
            if box.open_ended and box.name not in _TOP_LEVEL and _whole(found):
                break
            found.append(box)
            if len(found) > _MOST_BOXES:
                raise source.broken("it consists of far too many pieces")
    except InvalidInput:
        start = found[-1].stop if found else 0
        if not _whole(found) or source.up_to(start + 4, 4) in _TOP_LEVEL:
            raise
    return found


def _whole(found: list[Box]) -> bool:
    names = {box.name for box in found}
    return b"moov" in names and bool(names & {b"mdat", b"moof"})


class _Stripper:
    def __init__(self, source: Source, plan: Plan, top: list[Box], movies: list[Box]) -> None:
        self._source = source
        self._plan = plan
        tracks = read_tracks(source, movies)
        self._kept_ids = frozenset(track.id for track in tracks.kept)
        self._dropped = frozenset(track.box.start for track in tracks.dropped)
        self._pictures = frozenset(track.box.start for track in tracks.kept if track.handler == b"vide")
        self._of_pictures = False
        self._dropped_ids = frozenset(track.id for track in tracks.dropped) - self._kept_ids
        holes = [span for track in tracks.dropped for span in stored_samples(source, track)]
        if self._dropped_ids:
            defaults = default_sizes(source, movies)
            for box in top:
                if box.name == b"moof":
                    holes += fragment_samples(source, box, self._dropped_ids, defaults)
        self._holes = _joined(holes)
        if tracks.subtitles:
            plan.note(SUBTITLES)
        self._rewritten: dict[bytes, Callable[[Box], None]] = {
            b"mvhd": self._times,
            b"tkhd": self._times,
            b"mdhd": self._times,
            b"hdlr": self._handler,
            b"tref": self._references,
            b"dref": self._data_references,
            b"stsd": self._descriptions,
            b"mdat": self._media,
        }

    def level(self, found: Iterable[Box], start: int, stop: int, container: bytes) -> None:
        """The boxes inside one container. The table is a tree, so nesting ends however the file is made."""
        for box in found:
            if box.name == b"cmov":
                raise self._source.broken("its index is compressed")
            if box.name not in _INSIDE[container] or self._is_dropped(box):
                self._blank(box)
            elif box.name in _INSIDE:
                self._plan.keep(box.start, box.content)
                if box.name == b"trak":
                    self._of_pictures = box.start in self._pictures
                self.level(boxes(self._source, box.content, box.stop), box.content, box.stop, box.name)
            elif box.name in self._rewritten:
                self._rewritten[box.name](box)
            else:
                self._plan.keep(box.start, box.stop)
            start = box.stop
        self._plan.zeros(stop - start)

    def _is_dropped(self, box: Box) -> bool:
        if box.name == b"traf":
            return fragment_id(self._source, box) in self._dropped_ids
        return box.name == b"trak" and box.start in self._dropped

    def _blank(self, box: Box) -> None:
        size = 0 if box.open_ended else box.stop - box.start
        if box.content - box.start == 16:
            self._plan.put(b"\0\0\0\1free" + size.to_bytes(8, "big"))
        else:
            self._plan.put(size.to_bytes(4, "big") + b"free")
        self._plan.zeros(box.stop - box.content)

    def _keep_but(self, box: Box, start: int, stop: int) -> None:
        """A box with zeros between two offsets."""
        start, stop = min(start, box.stop), min(stop, box.stop)
        self._plan.keep(box.start, start)
        self._plan.zeros(stop - start)
        self._plan.keep(stop, box.stop)

    def _times(self, box: Box) -> None:
        """Without when it was made and changed."""
        width = 8 if self._source.up_to(box.content, 1) == b"\1" else 4
        self._keep_but(box, box.content + 4, box.content + 4 + 2 * width)

    def _handler(self, box: Box) -> None:
        """Without its maker and its name."""
        self._keep_but(box, box.content + 12, box.stop)

    def _references(self, box: Box) -> None:
        """Only references to tracks that are kept."""
        self._plan.keep(box.start, box.content)
        start = box.content
        for kind in boxes(self._source, box.content, box.stop):
            if kind.name != b"chap" and references(self._source, kind) <= self._kept_ids:
                self._plan.keep(kind.start, kind.stop)
            else:
                self._blank(kind)
            start = kind.stop
        self._plan.zeros(box.stop - start)

    def _data_references(self, box: Box) -> None:
        """Without the paths of the files that the samples once were in."""
        start = min(box.content + 8, box.stop)
        self._plan.keep(box.start, start)
        for reference in boxes(self._source, start, box.stop):
            self._keep_but(reference, reference.content + 4, reference.stop)
            start = reference.stop
        self._plan.zeros(box.stop - start)

    def _descriptions(self, box: Box) -> None:
        start = min(box.content + 8, box.stop)
        self._plan.keep(box.start, start)
        for entry in boxes(self._source, start, box.stop):
            self._description(entry)
            start = entry.stop
        self._plan.zeros(box.stop - start)

    def _description(self, entry: Box) -> None:
        """A sample description; a picture's without its encoder's name and without what is private in it."""
        fields = self._source.up_to(entry.content, min(_PICTURE_FIELDS, entry.stop - entry.content))
        if not self._of_pictures or len(fields) < _PICTURE_FIELDS:
            self._plan.keep(entry.start, entry.stop)
            return
        start, stop = entry.content + _ENCODER.start, entry.content + _ENCODER.stop
        told = fields[_ENCODER][1:].startswith(_TELLING)
        self._plan.keep(entry.start, stop if told else start)
        self._plan.zeros(0 if told else stop - start)
        start = entry.content + _PICTURE_FIELDS
        self._plan.keep(stop, start)
        try:
            parts = list(boxes(self._source, start, entry.stop))
        except InvalidInput:  # a palette comes before them
            parts = []
        for part in parts:
            if part.name in _PRIVATE:
                self._blank(part)
            elif part.name == b"colr":
                self._colour(part)
            else:
                self._plan.keep(part.start, part.stop)
            start = part.stop
        self._plan.keep(start, entry.stop)

    def _colour(self, box: Box) -> None:
        if self._source.up_to(box.content, 4) not in {b"prof", b"rICC"}:
            self._plan.keep(box.start, box.stop)
            return
        profile = self._source.at(box.content + 4, max(0, box.stop - box.content - 4))
        self._plan.keep(box.start, box.content + 4)
        self._plan.put(public_profile(profile) or bytes(len(profile)))

    def _media(self, box: Box) -> None:
        """The samples of the tracks that are kept."""
        start = box.start
        first = bisect_right(self._holes, box.content, key=lambda hole: hole[1])
        for hole in self._holes[first:]:
            if hole[0] >= box.stop:
                break
            hole_start, hole_stop = max(hole[0], box.content), min(hole[1], box.stop)
            self._plan.keep(start, hole_start)
            self._plan.zeros(hole_stop - hole_start)
            start = hole_stop
        self._plan.keep(start, box.stop)


def _joined(spans: list[Span]) -> list[Span]:
    """The same bytes in order, as few spans as possible."""
    joined: list[Span] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((start, stop))
    return joined
