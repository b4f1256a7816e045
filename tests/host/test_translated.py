"""What a Chinese user sees in ComfyUI's own frontend."""

from __future__ import annotations

import json
from collections.abc import Generator

import pytest
from comfyui_server import ROOT, ComfyUI

pytest.importorskip("playwright", reason="There is no playwright: pip install playwright.")

from remote_upscale.tools.workflows.frontend import CHROMIUM, Frontend, open_frontend

if not CHROMIUM:
    pytest.skip("There is no chromium on this machine.", allow_module_level=True)

NODE = "RemoteUpscalePixazoSeedVR2Image"
TEXTS = json.loads((ROOT / "locales" / "zh" / "nodeDefs.json").read_text("utf-8"))[NODE]
MAKE = """(type) => {
    const node = LiteGraph.createNode(type)
    app.graph.add(node)
    const words = Object.fromEntries(
        node.widgets.map(({ name, label, tooltip }) => [name, { label, tooltip }]),
    )
    app.graph.remove(node)
    return { title: node.title, words }
}"""


@pytest.fixture(scope="module")
def frontend(comfyui: ComfyUI) -> Generator[Frontend]:
    with open_frontend(comfyui.url, {"Comfy.Locale": "zh"}) as opened:
        yield opened
    comfyui.http.post("/settings/Comfy.Locale", json="en").raise_for_status()


@pytest.mark.parametrize("name", ["upscale_mode", "upscale_mode.upscale_factor", "noise_scale"])
def test_widgets_have_their_labels(frontend, name):
    node = frontend.page.evaluate(MAKE, NODE)
    assert node["title"] == TEXTS["display_name"]
    assert node["words"][name]["label"] == TEXTS["inputs"][name.replace(".", "_")]["name"]
    assert frontend.errors == []


def test_what_stands_below_a_choice_has_its_tooltip(frontend):
    """The frontend itself translates the tooltips of all others."""
    node = frontend.page.evaluate(MAKE, NODE)
    expected = TEXTS["inputs"]["upscale_mode_upscale_factor"]["tooltip"]
    assert node["words"]["upscale_mode.upscale_factor"]["tooltip"] == expected
