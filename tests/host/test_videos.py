"""Video nodes in a real ComfyUI, at the sandbox."""

from __future__ import annotations

import shutil
import time
from fractions import Fraction
from pathlib import Path

import pytest
from comfyui_graphs import clip_facts
from comfyui_server import ComfyUI, nodes, text_of
from remote_upscale.api_clients.models import Media
from remote_upscale.api_clients.registry import MODELS

VIDEO_MODELS = [model for model in MODELS.values() if model.media is Media.VIDEO]
TOPAZ = "RemoteUpscalePixazoTopazVideo"


@pytest.fixture
def loaded(comfyui: ComfyUI, clip: Path) -> str:
    """A clip of 12 frames at 30000/1001 with sound in ComfyUI's input folder, by its name there."""
    shutil.copy(clip, comfyui.base / "input" / "clip.mp4")
    return "clip.mp4"


@pytest.mark.parametrize("model", VIDEO_MODELS, ids=[model.id for model in VIDEO_MODELS])
def test_a_file_goes_as_it_is_and_comes_back_as_a_file(comfyui, provider, loaded, clip, widgets, model):
    prompt = nodes(
        load=("LoadVideo", {"file": loaded}),
        up=(model.node_id, {"video": ("load", 0), **widgets(model.node_id)}),
        save=("SaveVideo", {"video": ("up", 0), "filename_prefix": "v", "format": "auto", "codec": "auto"}),
        report=("PreviewAny", {"source": ("up", 1)}),
    )
    ended = comfyui.run(prompt)
    assert ended.status == "success", ended.error
    assert clip_facts(comfyui.output(ended, "save")) == (12, Fraction(30000, 1001), (192, 128), 1)
    [job] = text_of(ended, "report")["jobs"]
    assert not any("encoded" in note for note in job["notes"])


def test_frames_go_out_at_their_rate_and_come_back(comfyui, loaded):
    prompt = nodes(
        load=("LoadVideo", {"file": loaded}),
        frames=(
            "RemoteUpscaleVideoToFrames",
            {"video": ("load", 0), "start": 2, "count": 5, "stride": 1, "max_memory": 1.0, "exact": True},
        ),
        up=(
            TOPAZ,
            {
                "video": ("frames", 0),
                "upscale_factor": "2",
                "frame_rate": ("frames", 2),
                "audio": ("frames", 1),
            },
        ),
        again=(
            "RemoteUpscaleVideoToFrames",
            {"video": ("up", 0), "start": 0, "count": 0, "stride": 1, "max_memory": 1.0, "exact": False},
        ),
        clip=(
            "RemoteUpscaleFramesToVideo",
            {"images": ("again", 0), "frame_rate": ("again", 2), "audio": ("again", 1), "crf": 16},
        ),
        save=("SaveVideo", {"video": ("clip", 0), "filename_prefix": "f", "format": "auto", "codec": "auto"}),
        report=("PreviewAny", {"source": ("up", 1)}),
    )
    ended = comfyui.run(prompt)
    assert ended.status == "success", ended.error
    assert clip_facts(comfyui.output(ended, "save")) == (5, Fraction(30000, 1001), (192, 128), 1)
    [job] = text_of(ended, "report")["jobs"]
    assert any("frames were encoded" in note for note in job["notes"])


def test_a_trimmed_clip_is_only_that_part(comfyui, loaded):
    prompt = nodes(
        load=("LoadVideo", {"file": loaded}),
        trim=(
            "Video Slice",
            {"video": ("load", 0), "start_time": 0.0, "duration": 0.2, "strict_duration": False},
        ),
        up=(TOPAZ, {"video": ("trim", 0), "upscale_factor": "2"}),
        save=("SaveVideo", {"video": ("up", 0), "filename_prefix": "t", "format": "auto", "codec": "auto"}),
        frames=(
            "RemoteUpscaleVideoToFrames",
            {"video": ("trim", 0), "start": 1, "count": 0, "stride": 2, "max_memory": 1.0, "exact": True},
        ),
        images=("SaveImage", {"images": ("frames", 0), "filename_prefix": "t"}),
    )
    ended = comfyui.run(prompt)
    assert ended.status == "success", ended.error
    frames, rate, *_ = clip_facts(comfyui.output(ended, "save"))
    assert (frames, rate) == (6, Fraction(30000, 1001))
    assert len(ended.outputs["images"]["images"]) == 3


def test_too_many_frames_are_refused_with_their_size(comfyui, loaded):
    prompt = nodes(
        load=("LoadVideo", {"file": loaded}),
        frames=(
            "RemoteUpscaleVideoToFrames",
            {"video": ("load", 0), "start": 0, "count": 0, "stride": 1, "max_memory": 0.0001, "exact": True},
        ),
        images=("SaveImage", {"images": ("frames", 0), "filename_prefix": "t"}),
    )
    ended = comfyui.run(prompt)
    assert ended.status == "error"
    assert "12 frames of 96 x 64" in ended.error["exception_message"]


def test_a_video_made_of_frames_is_encoded_once_and_said_so(comfyui, loaded):
    prompt = nodes(
        load=("LoadVideo", {"file": loaded}),
        parts=("GetVideoComponents", {"video": ("load", 0)}),
        made=("CreateVideo", {"images": ("parts", 0), "audio": ("parts", 1), "fps": 12.0}),
        up=(TOPAZ, {"video": ("made", 0), "upscale_factor": "2"}),
        save=("SaveVideo", {"video": ("up", 0), "filename_prefix": "c", "format": "auto", "codec": "auto"}),
        report=("PreviewAny", {"source": ("up", 1)}),
    )
    ended = comfyui.run(prompt)
    assert ended.status == "success", ended.error
    assert clip_facts(comfyui.output(ended, "save"))[:3] == (12, Fraction(12), (192, 128))
    [job] = text_of(ended, "report")["jobs"]
    assert any("encoded as a clip" in note for note in job["notes"])


def test_sound_for_a_video_that_has_its_own_is_not_dropped_in_silence(comfyui, loaded):
    prompt = nodes(
        load=("LoadVideo", {"file": loaded}),
        parts=("GetVideoComponents", {"video": ("load", 0)}),
        up=(TOPAZ, {"video": ("load", 0), "upscale_factor": "2", "audio": ("parts", 1)}),
        report=("PreviewAny", {"source": ("up", 1)}),
    )
    ended = comfyui.run(prompt)
    assert ended.status == "success", ended.error
    [job] = text_of(ended, "report")["jobs"]
    assert any("audio input was not used" in note for note in job["notes"])


def test_an_interrupt_ends_a_conversion(comfyui, tmp_path):
    frames = nodes(
        empty=("EmptyImage", {"width": 1920, "height": 1080, "batch_size": 240, "color": 8421504}),
        clip=("RemoteUpscaleFramesToVideo", {"images": ("empty", 0), "frame_rate": 24.0, "crf": 0}),
        save=("SaveVideo", {"video": ("clip", 0), "filename_prefix": "x", "format": "auto", "codec": "auto"}),
    )
    working = comfyui.base / "temp" / "remote_upscale"
    before = set(working.glob("*/frames.mp4"))
    prompt = comfyui.queue(frames)
    until = time.monotonic() + 60
    while set(working.glob("*/frames.mp4")) == before:
        assert time.monotonic() < until
        time.sleep(0.02)
    comfyui.http.post("/interrupt")
    assert comfyui.wait(prompt).status == "interrupted"
    assert set(working.glob("*/frames.mp4")) == before
