"""The example workflows in a real ComfyUI; those without model files run at the sandbox to their results."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from comfyui_graphs import clip_facts
from comfyui_server import PACK, ROOT, ComfyUI, Ended
from PIL import Image
from remote_upscale.api_clients.models import Media
from remote_upscale.api_clients.registry import MODELS

FOLDER = ROOT / "example_workflows"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
PROMPTS: Mapping[str, Any] = {
    name: json.loads((FOLDER / "api" / f"{name}.json").read_text()) for name in NAMES
}
NEEDED = {"CheckpointLoaderSimple": "ckpt_name", "UpscaleModelLoader": "model_name"}
"""Nodes that load a model file, and the widget that names it."""
SIZE = 48, 32


def _needs_file(name: str) -> bool:
    return any(node["class_type"] in NEEDED for node in PROMPTS[name].values())


def _model(name: str) -> Any:
    """The model of a workflow that has only one."""
    types = {node["class_type"] for node in PROMPTS[name].values()}
    [model] = [model for model in MODELS.values() if model.node_id in types]
    return model


ALONE = [name for name in NAMES if not name.startswith("chain-")]
IMAGES = [name for name in ALONE if _model(name).media is Media.IMAGE]
VIDEOS = [name for name in ALONE if _model(name).media is Media.VIDEO]
WITH_FILES = [name for name in NAMES if _needs_file(name)]


@pytest.fixture
def media(comfyui: ComfyUI, clip: Path, draw) -> None:
    """What the workflows name, in ComfyUI's input folder."""
    folder = comfyui.base / "input"
    draw(SIZE).save(folder / "example.png")
    shutil.copy(clip, folder / "clip.mp4")
    shutil.rmtree(folder / "to-upscale", ignore_errors=True)
    (folder / "to-upscale").mkdir()
    draw(SIZE, 1).save(folder / "to-upscale" / "one.png")
    draw((40, 56), 2).save(folder / "to-upscale" / "two.png")


@pytest.fixture
def run(comfyui: ComfyUI, media: None) -> Callable[[str], Ended]:
    def run(name: str) -> Ended:
        ended = comfyui.run(PROMPTS[name], 120)
        assert ended.status == "success", ended.error
        return ended

    return run


def only(name: str, kind: str) -> str:
    """The id of the one node of a type."""
    [node] = [node for node, each in PROMPTS[name].items() if each["class_type"] == kind]
    return node


def pictures(comfyui: ComfyUI, ended: Ended, node: str) -> list[Image.Image]:
    """What a node saved or showed."""
    found: list[Image.Image] = []
    for one in ended.outputs[node]["images"]:
        with Image.open(comfyui.base / one["type"] / one["subfolder"] / one["filename"]) as image:
            found.append(image.convert("RGB"))
    return found


def sizes(comfyui: ComfyUI, ended: Ended, node: str) -> list[tuple[int, int]]:
    return [image.size for image in pictures(comfyui, ended, node)]


def test_the_template_browser_lists_the_graphs_and_nothing_else(comfyui):
    assert sorted(comfyui.http.get("/workflow_templates").json()[PACK]) == NAMES
    for name in NAMES:
        picture = comfyui.http.get(f"/api/workflow_templates/{PACK}/{name}.jpg")
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")


@pytest.mark.parametrize("name", IMAGES)
def test_each_image_model_alone(comfyui, run, name):
    ended = run(name)
    model = _model(name)
    inputs = PROMPTS[name][only(name, model.node_id)]["inputs"]
    chosen = {key: value for key, value in inputs.items() if key in ("resolution", "output_format")}
    expected = model.sizing.expect(model.check(chosen).values, SIZE)
    assert sizes(comfyui, ended, only(name, "SaveImage")) == [expected.size]
    report = json.loads(ended.outputs[only(name, "PreviewAny")]["text"][0])
    assert (report["model"], len(report["jobs"])) == (model.id, 1)


@pytest.mark.parametrize("name", VIDEOS)
def test_each_video_model_alone(comfyui, run, name):
    ended = run(name)
    saved = comfyui.output(ended, only(name, "SaveVideo"))
    assert clip_facts(saved) == (12, Fraction(30000, 1001), (192, 128), 1)


def test_a_clip_that_is_graded_keeps_its_sound_and_its_rate(comfyui, run):
    name = "chain-video-upscale-then-grade"
    saved = comfyui.output(run(name), only(name, "SaveVideo"))
    assert clip_facts(saved) == (12, Fraction(30000, 1001), (192, 128), 1)


def test_a_texture_is_shown_two_by_two(comfyui, run):
    name = "chain-seamless-texture-tiled"
    ended = run(name)
    [saved] = pictures(comfyui, ended, only(name, "SaveImage"))
    [shown] = pictures(comfyui, ended, only(name, "PreviewImage"))
    assert (saved.size, shown.size) == ((96, 64), (192, 128))
    corners = [(0, 0), (96, 0), (0, 64), (96, 64)]
    assert all(shown.crop((x, y, x + 96, y + 64)).tobytes() == saved.tobytes() for x, y in corners)


def test_two_models_side_by_side_are_two_jobs(comfyui, run, charged):
    name = "chain-two-models-side-by-side"
    ended = run(name)
    assert sizes(comfyui, ended, only(name, "SaveImage")) == [(192, 64)]
    reports = [json.loads(shown["text"][0]) for shown in ended.outputs.values() if "text" in shown]
    assert {report["model"] for report in reports} == {"fal/seedvr2-image", "pixazo/crystal-image"}


def test_a_folder_gives_a_result_for_every_picture(comfyui, run):
    name = "chain-folder-headless"
    ended = run(name)
    assert sorted(sizes(comfyui, ended, only(name, "SaveImage"))) == [(80, 112), (96, 64)]
    assert len(ended.outputs[only(name, "PreviewAny")]["text"]) == 2


def test_a_picture_of_the_folder_that_would_cost_too_much_is_kept_and_not_charged(comfyui, media, charged):
    name = "chain-folder-headless"
    prompt = json.loads(json.dumps(PROMPTS[name]))
    # Either result has more than 6000 pixels, at $0.001 for a million.
    prompt[only(name, "RemoteUpscaleOptions")]["inputs"] |= {"max_cost": 0.000001, "reuse": False}
    ended = comfyui.run(prompt)
    assert ended.status == "success", ended.error
    assert charged() == 0
    assert sorted(sizes(comfyui, ended, only(name, "SaveImage"))) == [(40, 56), (48, 32)]


def _names(inputs: Mapping[str, Any], given: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The inputs that a node has with what is chosen in its dynamic combos."""
    for kind in ("required", "optional"):
        for key, (type_, *rest) in inputs.get(kind, {}).items():
            yield prefix + key
            if type_ == "COMFY_DYNAMICCOMBO_V3":
                chosen = given.get(prefix + key)
                for option in rest[0]["options"]:
                    if option["key"] == chosen:
                        yield from _names(option["inputs"], given, f"{prefix}{key}.")


@pytest.mark.parametrize("name", NAMES)
def test_comfyui_knows_every_node_and_every_input(comfyui, name):
    for node in PROMPTS[name].values():
        kind = node["class_type"]
        known = comfyui.http.get(f"/object_info/{kind}").json()
        assert kind in known
        names = set(_names(known[kind]["input"], node["inputs"]))
        required = set(known[kind]["input"].get("required", {}))
        assert required <= set(node["inputs"]) <= names


@pytest.mark.parametrize("name", WITH_FILES)
def test_only_the_model_file_is_missing(comfyui, media, name):
    reply = comfyui.http.post("/prompt", json={"prompt": PROMPTS[name]}).json()
    missing = {}
    for node, problem in reply["node_errors"].items():
        kind = PROMPTS[name][node]["class_type"]
        missing[kind] = [(error["type"], error["extra_info"]["input_name"]) for error in problem["errors"]]
    assert missing
    assert all(missing[kind] == [("value_not_in_list", NEEDED[kind])] for kind in missing)
    if "prompt_id" in reply:  # an output that does not need the file is made all the same
        assert comfyui.wait(reply["prompt_id"]).status == "success"
