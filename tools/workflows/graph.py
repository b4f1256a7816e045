"""A workflow as it is described here: once, from which the graph and the API-format file are made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

_NOTE_COLUMNS = 60
Link = tuple[str, str]
"""A node of the workflow and the name of its output."""


@dataclass(frozen=True)
class Node:
    """A node.

    Attributes:
        type: ComfyUI's id of it.
        links: from an input's name to where its value comes from.
        widgets: what differs from a new node; of a dynamic combo the choice stands before what it brings.
        title: for the graph, where the node's own says too little.
    """

    type: str
    links: Mapping[str, Link] = field(default_factory=dict[str, Link])
    widgets: Mapping[str, object] = field(default_factory=dict[str, object])
    title: str | None = None


@dataclass(frozen=True)
class Group:
    """A frame around nodes of a graph.

    Attributes:
        title: says what they do together.
        nodes: their names.
        color: of the frame.
    """

    title: str
    nodes: Sequence[str]
    color: str


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """One example.

    Attributes:
        name: of its files, without an ending.
        note: what it does, needs and costs, as Markdown.
        nodes: by a name of their own here, in the order of their ids.
        columns: the names of the nodes from left to right, in each from top to bottom.
        groups: frames.
    """

    name: str
    note: str
    nodes: Mapping[str, Node]
    columns: Sequence[Sequence[str]]
    groups: Sequence[Group] = ()

    def as_json(self) -> dict[str, Any]:
        """For the script in the browser."""
        return {**asdict(self), "note_height": self._note_height}

    @property
    def _note_height(self) -> int:
        """What the note's text takes, with room for the larger type of Nodes 2.0."""
        paragraphs = [line for line in self.note.splitlines() if line]
        lines = sum(math.ceil(len(line.replace("*", "")) / _NOTE_COLUMNS) for line in paragraphs)
        return 70 + 16 * lines + 9 * len(paragraphs)


LOCAL, REMOTE = "#3f789e", "#b58b2a"
"""Colours of the frames: what this machine does, and what a provider does."""
