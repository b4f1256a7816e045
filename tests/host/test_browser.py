"""The example workflows in ComfyUI's own frontend, in a browser: with classic nodes and with Nodes 2.0."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from comfyui_server import ROOT, ComfyUI, find

pytest.importorskip("playwright", reason="There is no playwright: pip install playwright.")

from remote_upscale.tools.workflows.frontend import CHROMIUM, Frontend, open_frontend

if not CHROMIUM:
    pytest.skip("There is no chromium on this machine.", allow_module_level=True)

FOLDER = ROOT / "example_workflows"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
ORDER = json.loads((ROOT / "tests" / "web" / "widget_order.json").read_text("utf-8"))
LOADERS = {"CheckpointLoaderSimple", "UpscaleModelLoader"}
"""Nodes whose files are not there, which the frontend marks."""


@pytest.fixture(scope="module", params=[False, True], ids=["classic", "nodes-2"])
def frontend(request: pytest.FixtureRequest, comfyui: ComfyUI) -> Generator[Frontend]:
    _copy_media(comfyui.base / "input")
    with open_frontend(comfyui.url, {"Comfy.VueNodes.Enabled": request.param}) as opened:
        yield opened
    comfyui.http.post("/settings/Comfy.VueNodes.Enabled", json=False).raise_for_status()


def _copy_media(folder: Path) -> None:
    example = find()[0] / "input" / "example.png"
    (folder / "to-upscale").mkdir(exist_ok=True)
    for copy in (folder / "example.png", folder / "to-upscale" / "example.png"):
        shutil.copy(example, copy)
    shutil.copy(ROOT / "demo" / "media" / "cat.mp4", folder / "clip.mp4")


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_loads_and_queues_what_its_api_file_says(frontend, name):
    graph = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    frontend.errors.clear()
    loaded = frontend.load(graph)
    assert loaded.missing == []
    assert set(loaded.red) <= LOADERS
    assert loaded.prompt == json.loads((FOLDER / "api" / f"{name}.json").read_text("utf-8"))
    assert frontend.errors == []


def test_a_new_node_has_its_widgets_in_the_order_of_saved_graphs(frontend):
    script = """(types) => Object.fromEntries(types.map((type) => {
        const node = LiteGraph.createNode(type)
        app.graph.add(node)
        const names = node.widgets.map((widget) => widget.name)
        app.graph.remove(node)
        return [type, names]
    }))"""
    assert frontend.page.evaluate(script, list(ORDER)) == ORDER


@pytest.mark.parametrize("name", ["image-seedvr2-3b-pixazo", "chain-folder-headless"])
def test_a_graph_is_drawn(frontend, request, name):
    graph = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    frontend.load(graph)
    drawn = "() => [...document.querySelectorAll('[data-node-id]')].map((one) => one.dataset.nodeId)"
    # Classic nodes are painted on a canvas, those of Nodes 2.0 are elements of the page.
    expected = [str(node["id"]) for node in graph["nodes"]] if "nodes-2" in request.node.name else []
    frontend.page.wait_for_function(f"(count) => ({drawn})().length === count", arg=len(expected))
    assert sorted(frontend.page.evaluate(drawn)) == sorted(expected)
