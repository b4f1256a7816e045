"""Nodes and parameters that several workflows have."""

from __future__ import annotations

from .graph import Link, Node

FACTOR = {"upscale_mode": "factor", "upscale_factor": 2}
"""Twice as large, as parameters of a model."""
TWICE = {"upscale_mode": "factor", "upscale_mode.upscale_factor": 2.0}
"""The same, as widgets."""


def save(name: str, source: Link, title: str | None = None) -> Node:
    """Save Image."""
    return Node("SaveImage", {"images": source}, {"filename_prefix": f"remote-upscale/{name}"}, title)


def report(node: str, title: str = "Report") -> Node:
    """What a node of ours reports, as text."""
    return Node("PreviewAny", {"source": (node, "report")}, title=title)
