"""Turning frames by libav, the way that they are to be shown."""

# PyAV leaves parts of its graphs unannotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from fractions import Fraction

from av.filter import Graph
from av.video.frame import VideoFrame

from .turn import Turn


class Turner:
    """Lays pictures the way that they are to be shown."""

    def __init__(self, turn: Turn) -> None:
        steps = (
            ("transpose", "cclock_flip", turn.transposed),
            ("hflip", "", turn.mirrored),
            ("vflip", "", turn.flipped),
        )
        self._filters = [(name, options) for name, options, wanted in steps if wanted]
        self._graph: Graph | None = None
        self.shown = turn.shown

    def apply(self, frame: VideoFrame) -> VideoFrame:
        """The frame, upright. Its time is lost."""
        if not self._filters:
            return frame
        if self._graph is None:
            self._graph = Graph()
            buffer = self._graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
            )
            steps = [self._graph.add(*step) for step in self._filters]
            self._graph.link_nodes(buffer, *steps, self._graph.add("buffersink")).configure()
        self._graph.push(frame)
        turned = self._graph.pull()
        assert isinstance(turned, VideoFrame)
        return turned
