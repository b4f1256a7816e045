"""Image nodes in a real ComfyUI, at the sandbox."""

from __future__ import annotations

import time

import faults as faulty
import pytest
from comfyui_graphs import CRYSTAL, SEEDVR2, draw
from comfyui_server import nodes, text_of
from PIL import Image
from remote_upscale.api_clients.models import Media
from remote_upscale.api_clients.registry import MODELS

IMAGE_MODELS = [model for model in MODELS.values() if model.media is Media.IMAGE]


@pytest.mark.parametrize("model", IMAGE_MODELS, ids=[model.id for model in IMAGE_MODELS])
def test_every_image_model_runs_with_the_widgets_of_a_new_node(comfyui, charged, widgets, model):
    draw(comfyui, f"new {model.node_id}")
    prompt = nodes(
        load=("LoadImage", {"image": f"new {model.node_id}.png"}),
        up=(model.node_id, {"image": ("load", 0), **widgets(model.node_id)}),
        save=("SaveImage", {"images": ("up", 0), "filename_prefix": "up"}),
        report=("PreviewAny", {"source": ("up", 1)}),
    )
    ended = comfyui.run(prompt)
    assert ended.status == "success", ended.error
    expected = model.sizing.expect(model.check({}).values, (48, 32))
    with Image.open(comfyui.output(ended, "save")) as image:
        assert (image.size, image.mode) == ((expected.width, expected.height), "RGB")
    report = text_of(ended, "report")
    assert report["model"] == model.id
    [job] = report["jobs"]
    assert (job["state"], job["reused"]) == ("completed", False)
    assert job["request_id"]
    assert charged() == 1


def test_a_b_a_charges_two(comfyui, charged):
    def prompt(name):
        draw(comfyui, name)
        return nodes(
            load=("LoadImage", {"image": f"{name}.png"}),
            up=("RemoteUpscalePixazoCrystalImage", {"image": ("load", 0), **CRYSTAL}),
            save=("SaveImage", {"images": ("up", 0), "filename_prefix": "aba"}),
        )

    pictures = []
    for name in ("one", "one", "two", "one"):
        ended = comfyui.run(prompt(name))
        assert ended.status == "success", ended.error
        if ended.outputs:
            pictures.append(comfyui.output(ended, "save").read_bytes())
    assert charged() == 2


def test_identical_nodes_in_a_graph_charge_one(comfyui, provider, charged):
    draw(comfyui, "twins")
    # Long enough for the others to begin; what has ended, ComfyUI takes from its own cache.
    provider.faults.add("status", faulty.state("PROCESSING"), times=2)
    up = ("RemoteUpscalePixazoCrystalImage", {"image": ("load", 0), **CRYSTAL})
    prompt = nodes(
        load=("LoadImage", {"image": "twins.png"}),
        first=up,
        second=up,
        third=("RemoteUpscalePixazoCrystalImage", {"image": ("copy", 0), **CRYSTAL}),
        copy=("LoadImage", {"image": "twins.png"}),
        a=("PreviewAny", {"source": ("first", 1)}),
        b=("PreviewAny", {"source": ("second", 1)}),
        c=("PreviewAny", {"source": ("third", 1)}),
    )
    ended = comfyui.run(prompt)
    assert ended.status == "success", ended.error
    assert charged() == 1
    assert len({text_of(ended, name)["jobs"][0]["request_id"] for name in "abc"}) == 1
    assert charged() == 1


def test_a_batch_is_in_order_and_in_flight_together(comfyui, provider, charged):
    shades = [Image.new("RGB", (32, 32), (15 * n, 0, 255 - 15 * n)) for n in range(16)]
    batch: dict[str, tuple[str, dict[str, object]]] = {}
    for n, shade in enumerate(shades):
        shade.save(comfyui.base / "input" / f"shade{n}.png")
        batch[f"load{n}"] = ("LoadImage", {"image": f"shade{n}.png"})
        if n:
            before = "load0" if n == 1 else f"batch{n - 1}"
            batch[f"batch{n}"] = ("ImageBatch", {"image1": (before, 0), "image2": (f"load{n}", 0)})
    prompt = nodes(
        **batch,
        up=("RemoteUpscaleFalSeedVR2Image", {"image": ("batch15", 0), **SEEDVR2}),
        save=("SaveImage", {"images": ("up", 0), "filename_prefix": "batch"}),
        report=("PreviewAny", {"source": ("up", 1)}),
    )
    ended = comfyui.run(prompt)
    assert ended.status == "success", ended.error
    saved = ended.outputs["save"]["images"]
    colours = [Image.open(comfyui.base / "output" / one["filename"]).getpixel((30, 30)) for one in saved]
    assert colours == [shade.getpixel((0, 0)) for shade in shades]
    assert len(text_of(ended, "report")["jobs"]) == 16
    assert charged() == 16


def test_alpha_comes_back(comfyui):
    image = Image.new("RGBA", (32, 32), (200, 100, 50, 255))
    image.paste((0, 0, 0, 0), (0, 0, 16, 32))
    image.save(comfyui.base / "input" / "alpha.png")
    prompt = nodes(
        load=("LoadImage", {"image": "alpha.png"}),
        invert=("InvertMask", {"mask": ("load", 1)}),
        join=("JoinImageWithAlpha", {"image": ("load", 0), "alpha": ("load", 1)}),
        up=("RemoteUpscaleFalSeedVR2Image", {"image": ("join", 0), **SEEDVR2}),
        save=("SaveImage", {"images": ("up", 0), "filename_prefix": "alpha"}),
    )
    ended = comfyui.run(prompt)
    assert ended.status == "success", ended.error
    with Image.open(comfyui.output(ended, "save")) as made:
        assert (made.mode, made.size) == ("RGBA", (64, 64))
        assert [made.getpixel((x, 32)) for x in (60, 4)] == [(200, 100, 50, 255), (200, 100, 50, 0)]


def test_a_failure_is_one_sentence_what_to_do_and_the_request(comfyui, provider):
    draw(comfyui, "fails")
    provider.faults.add("run", faulty.fails("content_policy_violation"))
    prompt = nodes(
        load=("LoadImage", {"image": "fails.png"}),
        up=("RemoteUpscaleFalSeedVR2Image", {"image": ("load", 0), **SEEDVR2}),
        save=("SaveImage", {"images": ("up", 0), "filename_prefix": "x"}),
    )
    ended = comfyui.run(prompt)
    assert ended.status == "error"
    message = ended.error["exception_message"]
    assert provider.jobs[-1].request_id in message
    assert len(message.splitlines()) == 1
    # What was called inside is noise to whoever reads the dialog.
    assert not any("api_clients" in line for line in ended.error["traceback"]), ended.error["traceback"]


def test_a_failed_picture_can_keep_its_source(comfyui, provider):
    draw(comfyui, "good")
    draw(comfyui, "bad")
    provider.faults.add("run", faulty.fails("content_policy_violation"))
    options = {"account": "", "time_limit": 0, "reuse": True, "on_failure": "keep source", "private": False}
    prompt = nodes(
        a=("LoadImage", {"image": "good.png"}),
        b=("LoadImage", {"image": "bad.png"}),
        both=("ImageBatch", {"image1": ("a", 0), "image2": ("b", 0)}),
        options=("RemoteUpscaleOptions", {**options, "max_cost": 0}),
        up=("RemoteUpscaleFalSeedVR2Image", {"image": ("both", 0), "options": ("options", 0), **SEEDVR2}),
        save=("SaveImage", {"images": ("up", 0), "filename_prefix": "kept"}),
        report=("PreviewAny", {"source": ("up", 1)}),
    )
    ended = comfyui.run(prompt)
    assert ended.status == "success", ended.error
    assert len(ended.outputs["save"]["images"]) == 2
    states = [job["state"] for job in text_of(ended, "report")["jobs"]]
    assert sorted(states) == ["completed", "failed"]


def test_interrupting_answers_at_once_and_keeps_the_job(comfyui, provider, charged):
    draw(comfyui, "patience")
    provider.faults.add("status", faulty.state("PROCESSING"), times=None)
    prompt = nodes(
        load=("LoadImage", {"image": "patience.png"}),
        up=("RemoteUpscalePixazoCrystalImage", {"image": ("load", 0), **CRYSTAL}),
        save=("SaveImage", {"images": ("up", 0), "filename_prefix": "patience"}),
    )
    prompt_id = comfyui.queue(prompt)
    while not charged():
        time.sleep(0.02)
    time.sleep(0.3)
    began = time.monotonic()
    comfyui.http.post("/interrupt")
    ended = comfyui.wait(prompt_id)
    took = time.monotonic() - began
    assert ended.status == "interrupted"
    assert took < 5  # bench/bench_comfyui.py measures how soon; here only that it does not wait for the job
    provider.faults.clear()
    assert comfyui.run(prompt).status == "success"
    assert charged() == 1


@pytest.mark.parametrize("choice", [{}, {"upscale_mode": "huge"}], ids=["missing", "unknown"])
def test_a_choice_that_others_belong_to_has_to_be_there(comfyui, charged, choice):
    draw(comfyui, "undecided")
    widgets = {name: value for name, value in SEEDVR2.items() if name != "upscale_mode"}
    prompt = nodes(
        load=("LoadImage", {"image": "undecided.png"}),
        up=("RemoteUpscaleFalSeedVR2Image", {"image": ("load", 0), **widgets, **choice}),
        save=("SaveImage", {"images": ("up", 0), "filename_prefix": "x"}),
    )
    ended = comfyui.run(prompt)
    assert ended.status == "error"
    assert "upscale_mode is missing or not one of its choices" in ended.error["exception_message"]
    assert charged() == 0
