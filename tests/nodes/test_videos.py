"""Clips through a model, without ComfyUI."""

import asyncio
import json
import shutil
from fractions import Fraction

import faults as faulty
import pytest
import torch
from remote_upscale.api_clients.errors import InvalidInput, InvalidParameter
from remote_upscale.api_clients.files.probe import probe
from remote_upscale.api_clients.registry import find_model
from remote_upscale.nodes.options import RunOptions
from remote_upscale.nodes.progress import NodeProgress
from remote_upscale.nodes.video import Frames, VideoTask, upscale_video

TOPAZ = find_model("pixazo/topaz-video")


class OfFile:
    """ComfyUI's VIDEO of a file, whole."""

    def __init__(self, path):
        self.path = path

    def get_stream_source(self):
        return str(self.path)

    def get_active_trim_window(self):
        return 0.0, 0.0


@pytest.fixture
def upscale(runtime, folder):
    async def upscale(video, parameters=None):
        task = VideoTask(
            model=TOPAZ, video=video, parameters=parameters or {}, options=RunOptions(), folder=folder
        )
        made = await upscale_video(task, runtime, NodeProgress(1))
        return made.path, json.loads(made.report)["jobs"][0]

    return upscale


async def test_a_clip_comes_back_as_a_file_that_stays(upscale, clip, folder, settings):
    path, job = await upscale(OfFile(clip))
    assert path == folder.path / "result.mp4"
    assert list(folder.path.iterdir()) == [path]
    info = probe(path)
    assert (info.width, info.height, info.frames) == (192, 128, 12)
    assert job["state"] == "completed"
    assert path.stat().st_nlink == 2  # the other one is in the result store
    shutil.rmtree(settings.home)
    assert probe(path) == info


async def test_frames_are_encoded_and_what_was_encoded_is_removed(upscale, folder):
    path, job = await upscale(Frames(torch.rand(3, 32, 48, 3), Fraction(25)))
    assert list(folder.path.iterdir()) == [path]
    assert any("were encoded as a clip" in note for note in job["notes"])


async def test_a_result_that_cannot_be_compared_is_delivered_all_the_same(upscale, clip, sandbox):
    sandbox.faults.add("status", faulty.state("PROCESSING"), times=None)
    task = asyncio.create_task(upscale(OfFile(clip)))
    while not any(job.request_id in one.path for job in sandbox.jobs for one in sandbox.requests):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    clip.unlink()
    sandbox.faults.clear()
    path, job = await task
    assert probe(path).frames == 12
    assert any("could not be compared with its source: " in note for note in job["notes"])


async def test_what_is_wrong_is_refused_before_any_work(upscale, sandbox, tmp_path):
    with pytest.raises(InvalidParameter):
        await upscale(OfFile(tmp_path / "missing.mp4"), {"upscale_factor": 99})
    with pytest.raises(InvalidInput):
        await upscale(OfFile(tmp_path / "missing.mp4"))
    assert sandbox.requests == []
