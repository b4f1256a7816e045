"""The example workflows as files: complete, in their two forms, and valid for the models' declarations."""

import importlib
import json
import sys
import types
from pathlib import Path

import pytest
from PIL import Image
from remote_upscale.api_clients.parameters import Integer
from remote_upscale.api_clients.registry import MODELS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "example_workflows"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
ORDER = json.loads((Path(__file__).parent / "widget_order.json").read_text("utf-8"))
"""The widgets of a new node of ours, in the order in which graphs save their values: it may never change."""
BY_NODE = {model.node_id: model for model in MODELS.values()}
HELPERS = {"RemoteUpscaleOptions", "RemoteUpscaleVideoToFrames", "RemoteUpscaleFramesToVideo"}
LINKED_OR_OURS = {"image", "video", "audio", "frame_rate", "options"}
"""Inputs of upscaling nodes that are no parameters of a model."""


def graph(name):
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def prompt(name):
    return json.loads((FOLDER / "api" / f"{name}.json").read_text("utf-8"))


def ours(name):
    return [node for node in graph(name)["nodes"] if node["type"].startswith("RemoteUpscale")]


@pytest.fixture(scope="module")
def schema():
    """`nodes/schema.py`, which needs ComfyUI only to make widgets."""
    latest = types.ModuleType("comfy_api.latest")
    latest.io = types.SimpleNamespace(Custom=lambda name: name)
    stand_ins = {"comfy_api": types.ModuleType("comfy_api"), "comfy_api.latest": latest}
    with pytest.MonkeyPatch.context() as patch:
        for name, module in stand_ins.items():
            patch.setitem(sys.modules, name, module)
        yield importlib.import_module("remote_upscale.nodes.schema")
        sys.modules.pop("remote_upscale.nodes.schema")


def test_there_is_one_for_each_model_alone_and_seven_chains():
    alone = [name for name in NAMES if not name.startswith("chain-")]
    assert {ours(name)[0]["type"] for name in alone} == set(BY_NODE)
    assert (len(alone), len(NAMES) - len(alone)) == (8, 7)


def test_every_node_of_ours_is_shown():
    shown = {node["type"] for name in NAMES for node in ours(name)}
    assert shown == {*BY_NODE, *HELPERS}


def test_every_graph_has_a_twin_and_no_twin_is_alone():
    assert sorted(path.stem for path in (FOLDER / "api").iterdir()) == NAMES


def test_nothing_else_is_in_the_folder():
    files = {path.name for path in FOLDER.iterdir()}
    assert files == {"api", *(f"{name}.{ending}" for name in NAMES for ending in ("json", "jpg"))}


@pytest.mark.parametrize("name", NAMES)
def test_a_thumbnail_is_a_small_jpeg(name):
    path = FOLDER / f"{name}.jpg"
    with Image.open(path) as image:
        assert (image.format, image.size) == ("JPEG", (640, 360))
    assert path.stat().st_size < 60_000


@pytest.mark.parametrize("name", NAMES)
def test_both_forms_have_the_same_nodes(name):
    nodes = {str(node["id"]): node["type"] for node in graph(name)["nodes"] if node["type"] != "MarkdownNote"}
    assert {node: each["class_type"] for node, each in prompt(name).items()} == nodes


@pytest.mark.parametrize("name", NAMES)
def test_a_note_says_what_is_needed_and_what_it_costs(name):
    [note] = [node for node in graph(name)["nodes"] if node["type"] == "MarkdownNote"]
    [text] = note["widgets_values"]
    assert "**It needs**" in text
    assert "**It costs**" in text
    variables = {"pixazo": "PIXAZO_API_KEY", "apixo": "APIXO_API_KEY", "fal": "FAL_KEY"}
    for node in ours(name):
        if node["type"] in BY_NODE:
            assert variables[BY_NODE[node["type"]].provider] in text
    for each in prompt(name).values():
        for widget in ("ckpt_name", "model_name"):
            assert each["inputs"].get(widget, "") in text


@pytest.mark.parametrize("name", NAMES)
def test_nodes_do_not_overlap(name):
    title = 30
    boxes = [(*node["pos"], *node["size"]) for node in graph(name)["nodes"]]
    for number, (x, y, width, height) in enumerate(boxes):
        for left, top, wide, high in boxes[number + 1 :]:
            apart = x + width <= left or left + wide <= x
            assert apart or y + height <= top - title or top + high <= y - title


@pytest.mark.parametrize("name", NAMES)
def test_saved_values_are_in_the_order_of_the_widgets(name):
    for node in ours(name):
        assert list(node["widgets_values_named"]) == ORDER[node["type"]]
        assert list(node["widgets_values_named"].values()) == node["widgets_values"]


def test_the_order_of_the_widgets_is_that_of_the_declarations():
    assert set(ORDER) == {*BY_NODE, *HELPERS}
    for node, model in BY_NODE.items():
        expected = []
        for parameter in (one for one in model.parameters if one.only_with is None):
            expected.append(parameter.name)
            chosen = (parameter.name, parameter.default)
            expected += [
                f"{parameter.name}.{one.name}" for one in model.parameters if one.only_with == chosen
            ]
            if isinstance(parameter, Integer) and parameter.name == "seed":
                expected.append("fixed")
        assert [name for name in ORDER[node] if name != "frame_rate"] == expected


@pytest.mark.parametrize("name", NAMES)
def test_what_is_sent_is_valid_for_the_model(name, schema):
    for node in prompt(name).values():
        model = BY_NODE.get(node["class_type"])
        if model is None:
            continue
        widgets = {key: value for key, value in node["inputs"].items() if key not in LINKED_OR_OURS}
        assert model.check(schema.parameters_of(model, as_executed(model, widgets)))


def as_executed(model, widgets):
    """ComfyUI gives ``execute`` a dynamic combo together with what stands below it."""
    choices = {one.only_with[0] for one in model.parameters if one.only_with}
    given = {key: value for key, value in widgets.items() if "." not in key}
    for choice in choices:
        below = [key for key in widgets if key.startswith(f"{choice}.")]
        given[choice] = {choice: widgets[choice], **{key.rpartition(".")[2]: widgets[key] for key in below}}
    return given


@pytest.mark.parametrize("name", NAMES)
def test_no_graph_holds_more_than_the_node_needs(name):
    """No picture of the canvas, no name of a person or a machine, no key."""
    saved = graph(name)
    assert saved["extra"] == {}
    text = json.dumps([saved, prompt(name)])
    assert "://" not in text
    assert "/home" not in text
