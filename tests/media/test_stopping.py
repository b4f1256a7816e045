"""Conversions that nobody waits for any more."""

import asyncio
import threading
from fractions import Fraction

import pytest
import torch
from remote_upscale.nodes.media import video_read, video_write
from remote_upscale.nodes.media.stopping import GivenUp, go_on, in_thread
from remote_upscale.nodes.media.video_read import read_frames
from remote_upscale.nodes.media.video_write import write_video


@pytest.fixture
def at_the_third_frame(monkeypatch):
    """Cancels whoever waits for the conversion when it comes to its third frame, and counts the frames."""

    def watch(module, loop, task):
        seen = []
        noticed = threading.Event()

        def step():
            seen.append(1)
            if len(seen) == 3:
                loop.call_soon_threadsafe(task().cancel)
                loop.call_soon_threadsafe(loop.call_soon, noticed.set)
                noticed.wait(10)
            go_on()

        monkeypatch.setattr(module, "go_on", step)
        return seen

    return watch


async def given_up(watch, module, *work, **options):
    task = None
    seen = watch(module, asyncio.get_running_loop(), lambda: task)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def run():
        try:
            work[0](*work[1:], **options)
        except GivenUp:
            loop.call_soon_threadsafe(ended.set)
            raise

    task = asyncio.create_task(in_thread(run))
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(20):
        await ended.wait()
    return len(seen)


async def test_writing_stops_and_leaves_no_file(at_the_third_frame, tmp_path):
    frames = torch.rand(30, 64, 64, 3)
    path = tmp_path / "a.mp4"
    assert await given_up(at_the_third_frame, video_write, write_video, frames, Fraction(24), path) == 3
    assert not path.exists()


async def test_reading_stops(at_the_third_frame, clip):
    assert await given_up(at_the_third_frame, video_read, read_frames, clip) == 3


async def test_without_anybody_giving_up_it_goes_on(clip):
    assert len((await in_thread(read_frames, clip)).images) == 12
    go_on()
