"""AVI: lists and chunks that hold metadata become JUNK chunks of the same size, so no offset changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import InvalidInput
from ..spliced_file import SplicedFile
from .structure import SUBTITLES, Plan, Source

_INSIDE = {
    b"RIFF": frozenset({b"hdrl", b"movi", b"idx1"}),
    b"hdrl": frozenset({b"avih", b"strl", b"odml"}),
    b"strl": frozenset({b"strh", b"strf", b"indx", b"vprp"}),
    b"odml": frozenset({b"dmlh"}),
}
"""What is kept in each list; everything else in it is blanked."""
_SEEN_OR_HEARD = frozenset({b"vids", b"auds", b"iavs"})
_SUBTITLES = frozenset({b"txts", b"subs"})


@dataclass(frozen=True)
class Chunk:
    """A chunk: its name (a list's own name), where it starts, where its content starts, where it stops."""

    name: bytes
    start: int
    content: int
    stop: int


def chunks(source: Source, start: int, stop: int) -> Iterator[Chunk]:
    """The chunks between two offsets; fewer than 8 bytes that are left over belong to none.

    Raises:
        InvalidInput: one reaches beyond ``stop``.
    """
    while start + 8 <= stop:
        head = source.up_to(start, 12)
        name, length = head[:4], int.from_bytes(head[4:8], "little")
        content, end = start + 8, start + 8 + length
        if name in {b"LIST", b"RIFF"}:
            name, content = head[8:], start + 12
        if end > stop or content > end:
            raise source.cut_off()
        end = min(end + length % 2, stop)
        yield Chunk(name, start, content, end)
        start = end


def strip(source: Source) -> SplicedFile:
    """Picture and sound alone, every byte of them where it was.

    Raises:
        InvalidInput: it is no AVI, or damaged.
    """
    if source.at(0, 4) != b"RIFF" or source.at(8, 4) != b"AVI ":
        raise source.broken("it does not begin like one")
    plan = Plan(source)
    stripper = _Stripper(source, plan)
    start = 0
    # Beyond 1 GB an AVI is several RIFF lists, the later ones named AVIX. Anything behind them is left out.
    while source.up_to(start, 4) == b"RIFF" and source.at(start + 8, 4) == (b"AVIX" if start else b"AVI "):
        length = source.number(start + 4, 4, little=True)
        stop = start + 8 + length
        if length < 4 or stop > source.size:
            raise source.cut_off()
        plan.keep(start, start + 12)
        stripper.level(start + 12, stop, b"RIFF")
        start = stop + length % 2
        if stop < source.size:
            plan.zeros(start - stop)
    return plan.spliced_file()


class _Stripper:
    def __init__(self, source: Source, plan: Plan) -> None:
        self._source = source
        self._plan = plan
        self._streams: list[bytes] = []
        """What each stream is, in the order of their numbers."""

    def level(self, start: int, stop: int, container: bytes) -> None:
        """The chunks inside one list. The table is a tree, so nesting ends however the file is made."""
        for chunk in chunks(self._source, start, stop):
            if chunk.name not in _INSIDE[container]:
                self._blank(chunk)
            elif chunk.name in _INSIDE:
                self._plan.keep(chunk.start, chunk.content)
                self.level(chunk.content, chunk.stop, chunk.name)
            elif chunk.name == b"movi":
                self._plan.keep(chunk.start, chunk.content)
                self._media(chunk.content, chunk.stop)
            else:
                if chunk.name == b"strh":
                    self._stream(self._source.up_to(chunk.content, 4))
                self._plan.keep(chunk.start, chunk.stop)
            start = chunk.stop
        self._plan.zeros(stop - start)

    def _stream(self, kind: bytes) -> None:
        self._streams.append(kind)
        if kind in _SUBTITLES:
            self._plan.note(SUBTITLES)

    def _media(self, start: int, stop: int, *, inside: bool = False) -> None:
        """The packets; those of other streams become zeros, because the index and the numbers count them.

        Args:
            start: where the first one is.
            stop: where they end.
            inside: whether they are those of a group of packets, in which there is no other.
        """
        try:
            for chunk in chunks(self._source, start, stop):
                if chunk.name == b"rec " and not inside:
                    self._plan.keep(chunk.start, chunk.content)
                    self._media(chunk.content, chunk.stop, inside=True)
                elif chunk.name == b"JUNK":
                    self._blank(chunk)
                elif self._is_left_out(chunk.name):
                    self._plan.keep(chunk.start, chunk.content)
                    self._plan.zeros(chunk.stop - chunk.content)
                else:
                    self._plan.keep(chunk.start, chunk.stop)
                start = chunk.stop
        except InvalidInput:
            # Readers find the next packet by searching for it, so what cannot be followed is kept.
            pass
        self._plan.keep(start, stop)

    def _is_left_out(self, name: bytes) -> bool:
        number = name[:2]
        if not number.isdigit() or int(number) >= len(self._streams):
            return False
        return self._streams[int(number)] not in _SEEN_OR_HEARD

    def _blank(self, chunk: Chunk) -> None:
        self._plan.put(b"JUNK")
        self._plan.keep(chunk.start + 4, chunk.start + 8)
        self._plan.zeros(chunk.stop - chunk.start - 8)
