"""Folders that stay for as long as somebody uses them."""

import asyncio
import shutil
import threading

import faults as faulty
import pytest
from remote_upscale.api_clients.engine import Job
from remote_upscale.api_clients.registry import find_model
from remote_upscale.nodes.media.stopping import GivenUp
from remote_upscale.nodes.runtime import Runtime
from remote_upscale.nodes.working_folder import WorkingFolder


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "work").mkdir()
    return WorkingFolder(tmp_path / "work")


def test_it_goes_with_the_last_who_holds_it(folder):
    with folder.hold() as path:
        (path / "file").touch()
        with folder.hold():
            pass
        assert path.exists()
    assert not path.exists()
    with pytest.raises(GivenUp), folder.hold():
        pass


def test_it_can_be_kept(folder):
    with folder.hold() as path:
        folder.keep()
    with folder.hold():
        pass
    assert path.exists()


def test_it_goes_when_something_fails(folder):
    with pytest.raises(ZeroDivisionError), folder.hold():
        raise ZeroDivisionError
    assert not folder.path.exists()


async def test_a_thread_that_nobody_waits_for_keeps_it_to_its_end(folder):
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def write():
        begun.set()
        go_on.wait(10)
        (folder.path / "late").write_bytes(b"as if nothing had happened")
        ended.set()

    with folder.hold():
        task = asyncio.create_task(folder.in_thread(write))
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert folder.path.exists()
    go_on.set()
    assert await asyncio.to_thread(ended.wait, 10)
    async with asyncio.timeout(10):
        while folder.path.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_run_holds_it_until_it_has_really_ended(folder, settings, sandbox, photo):
    sandbox.faults.add("status", faulty.state("IN_PROGRESS"), times=None)
    sandbox.faults.add("cancel", faulty.slow(0.5))
    runtime = Runtime(lambda _: settings)
    with folder.hold() as path:
        source = shutil.copy(photo, path / "source.png")
        job = Job(model=find_model("fal/seedvr2-image"), parameters={}, source=source)
        task = asyncio.create_task(runtime.run("", job, lambda _: None, folder))
        while not any(request.path.endswith("/status") for request in sandbox.requests):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert source.exists()
    async with asyncio.timeout(10):
        while folder.path.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert any(request.path.endswith("/cancel") for request in sandbox.requests)
    await asyncio.to_thread(runtime.close)


async def test_a_run_that_never_began_lets_go_of_it(folder, settings, sandbox, photo):
    runtime = Runtime(lambda _: settings)
    job = Job(model=find_model("fal/seedvr2-image"), parameters={}, source=photo)
    with folder.hold():
        task = asyncio.create_task(runtime.run("", job, lambda _: None, folder))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(10):
        while folder.path.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await asyncio.to_thread(runtime.close)
    assert sandbox.jobs == []
