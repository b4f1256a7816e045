"""The prompt's own loop does next to nothing itself: what takes long is done elsewhere.

Measured is the processor time of each step of the loop, which does not depend on what else the machine does.
"""

import asyncio
import time
from fractions import Fraction

import pytest
import torch
from remote_upscale.api_clients.registry import find_model
from remote_upscale.nodes.image import Batch, upscale_images
from remote_upscale.nodes.options import RunOptions
from remote_upscale.nodes.progress import NodeProgress
from remote_upscale.nodes.video import Frames, VideoTask, upscale_video

MOST = 0.005
"""Seconds."""


@pytest.fixture
def longest_step(monkeypatch):
    """Runs something on a loop of its own in a thread, as ComfyUI does; also gives its longest step."""

    def watched(work):
        loop = asyncio.new_event_loop()
        taken = []
        run = asyncio.events.Handle._run

        def timed(handle):
            began = time.thread_time()
            run(handle)
            if handle._loop is loop:
                taken.append(time.thread_time() - began)

        monkeypatch.setattr(asyncio.events.Handle, "_run", timed)
        try:
            return loop.run_until_complete(work), max(taken)
        finally:
            loop.close()

    async def longest_step(work):
        return await asyncio.to_thread(watched, work)

    return longest_step


@pytest.mark.parametrize("channels", [3, 4])
async def test_a_batch_of_large_pictures_does_not_hold_it(longest_step, runtime, folder, channels):
    batch = Batch(
        model=find_model("fal/seedvr2-image"),
        images=torch.rand(4, 1024, 1024, channels),
        parameters={"upscale_factor": 2.0, "output_format": "png"},
        options=RunOptions(),
        folder=folder,
    )
    made, longest = await longest_step(upscale_images(batch, runtime, NodeProgress(4)))
    assert made.images.shape == (4, 2048, 2048, channels)
    assert longest < MOST


async def test_a_clip_does_not_hold_it(longest_step, runtime, folder):
    task = VideoTask(
        model=find_model("pixazo/topaz-video"),
        video=Frames(torch.rand(12, 480, 640, 3), Fraction(24)),
        parameters={},
        options=RunOptions(),
        folder=folder,
    )
    made, longest = await longest_step(upscale_video(task, runtime, NodeProgress(1)))
    assert made.path.exists()
    assert longest < MOST


async def test_what_holds_it_is_seen(longest_step):
    async def hold():
        until = time.thread_time() + 2 * MOST
        while time.thread_time() < until:
            pass

    _, longest = await longest_step(hold())
    assert longest > MOST
