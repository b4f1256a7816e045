"""What the nodes tell ComfyUI of themselves, read without ComfyUI.

``comfy_api`` is replaced by a recorder while the nodes' modules are imported, so that a page tells the
tooltips, ranges and defaults that the widgets have.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

import remote_upscale.nodes

_PACKAGE = remote_upscale.nodes
_DECLARING = ("conversions", "run_options", "upscaling")


@dataclass(frozen=True)
class Input:
    """A widget or a socket.

    Attributes:
        name: as in the API format, without that of the choice it belongs to.
        kind: ``IMAGE``, ``VIDEO or IMAGE``, …, or ``Int``, ``Float``, ``Boolean``, ``Combo``, ``String``.
        facts: what else it was declared with, such as ``tooltip``, ``default``, ``min``.
        below: the choice that it belongs to; empty for most.
    """

    name: str
    kind: str
    facts: dict[str, Any]
    below: str = ""

    @property
    def tooltip(self) -> str:
        """What the widget says of itself; may be empty."""
        return self.facts.get("tooltip") or ""


@dataclass(frozen=True)
class Output:
    """An output."""

    name: str
    kind: str
    tooltip: str


@dataclass(frozen=True)
class Node:
    """A node's schema."""

    id: str
    title: str
    description: str
    inputs: Sequence[Input]
    outputs: Sequence[Output]


@cache
def nodes() -> dict[str, Node]:
    """All nodes of the pack by their ids, in the order in which ComfyUI gets them."""
    with _recorder():
        parts = (importlib.import_module(f"{_PACKAGE.__name__}.{name}") for name in _DECLARING)
        conversions, run_options, upscaling = parts
        classes = [
            *upscaling.upscaling_nodes(),
            run_options.RunOptionsNode,
            conversions.VideoToFrames,
            conversions.FramesToVideo,
        ]
        schemas = [kind.define_schema() for kind in classes]
    return {schema.node_id: _node(schema) for schema in schemas}


def _node(schema: Any) -> Node:
    flat = [one for given in schema.inputs for one in _flat(given)]
    return Node(schema.node_id, schema.display_name, schema.description, flat, schema.outputs)


def _flat(given: Input) -> Generator[Input]:
    """An input, then those of its choices."""
    options = given.facts.get("options", ())
    if given.kind != "DynamicCombo":
        yield given
        return
    names = [option.name for option in options]
    yield Input(given.name, "Combo", given.facts | {"options": names, "default": names[0]})
    for option in options:
        for one in option.inputs:
            yield Input(one.name, one.kind, one.facts, below=given.name)


class _Kind:
    """Stands for ``io.Int`` and the like."""

    def __init__(self, name: str) -> None:
        self._name = name

    def Input(self, name: str, types: Sequence[_Kind] = (), **facts: Any) -> Input:  # noqa: N802
        return Input(name, " / ".join(kind._name for kind in types) or self._name, facts)

    def Output(self, name: str, tooltip: str = "") -> Output:  # noqa: N802
        return Output(name, self._name, tooltip)

    def Option(self, name: str, inputs: Sequence[Input]) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(name=name, inputs=inputs)


class _Names:
    """Stands for an enumeration, whatever is in it."""

    def __getattr__(self, name: str) -> str:
        return name


def _io() -> SimpleNamespace:
    sockets = {name.capitalize(): _Kind(name) for name in ("IMAGE", "VIDEO", "AUDIO")}
    widgets = {name: _Kind(name) for name in ("Int", "Float", "Boolean", "Combo", "String")}
    return SimpleNamespace(
        **sockets,
        **widgets,
        MultiType=_Kind("MultiType"),
        DynamicCombo=_Kind("DynamicCombo"),
        Custom=_Kind,
        Schema=SimpleNamespace,
        ComfyNode=type("ComfyNode", (), {}),
        Hidden=_Names(),
        ControlAfterGenerate=_Names(),
    )


@contextmanager
def _recorder() -> Generator[None]:
    """``comfy_api.latest`` is the recorder; afterwards everything is as it was."""
    latest = ModuleType("comfy_api.latest")
    latest.io = _io()  # pyright: ignore[reportAttributeAccessIssue]
    latest.InputImpl = SimpleNamespace()  # pyright: ignore[reportAttributeAccessIssue]
    latest.ComfyExtension = type("ComfyExtension", (), {})  # pyright: ignore[reportAttributeAccessIssue]
    before = {name: module for name, module in sys.modules.items() if _saw_recorder(name)}
    members = dict(vars(_PACKAGE))
    _forget()
    sys.modules.update({"comfy_api": ModuleType("comfy_api"), "comfy_api.latest": latest})
    try:
        yield
    finally:
        _forget()
        sys.modules.update(before)
        vars(_PACKAGE).update(members)


def _saw_recorder(name: str) -> bool:
    """Whether a module of that name may hold a part of the recorder, or is it."""
    own = name.startswith(f"{_PACKAGE.__name__}.") and not name.startswith(f"{_PACKAGE.__name__}.media")
    return own or name.partition(".")[0] == "comfy_api"


def _forget() -> None:
    for name in [name for name in sys.modules if _saw_recorder(name)]:
        del sys.modules[name]
        vars(_PACKAGE).pop(name.rpartition(".")[2], None)
