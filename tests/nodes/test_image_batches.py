"""Batches of pictures through a model, without ComfyUI."""

import asyncio
import json
import tempfile
from decimal import Decimal
from pathlib import Path

import faults as faulty
import pytest
import torch
from remote_upscale.api_clients.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    InvalidInput,
    InvalidParameter,
    RemoteUpscaleError,
)
from remote_upscale.api_clients.registry import find_model
from remote_upscale.nodes.image import Batch, upscale_images
from remote_upscale.nodes.media.parallel import available_threads
from remote_upscale.nodes.options import OnFailure, RunOptions
from remote_upscale.nodes.progress import NodeProgress
from remote_upscale.nodes.working_folder import WorkingFolder

SEEDVR2 = find_model("fal/seedvr2-image")
CRYSTAL = find_model("pixazo/crystal-image")
PNG = {"output_format": "png"}


@pytest.fixture
def upscale(runtime, tmp_path):
    async def upscale(images, *, model=SEEDVR2, parameters=PNG, options=None):
        # One of its own each time, as in ComfyUI: cancelled jobs wind down in the background.
        folder = WorkingFolder(Path(tempfile.mkdtemp(dir=tmp_path)))
        batch = Batch(
            model=model,
            images=images,
            parameters=parameters,
            options=options or RunOptions(),
            folder=folder,
        )
        progress = NodeProgress(max(1, len(images)))
        with folder.hold():
            made = await upscale_images(batch, runtime, progress)
        assert progress.fraction == 1
        assert not folder.path.exists()
        return made.images, json.loads(made.report), made.words

    return upscale


def flat(*values, size=(24, 32), channels=3):
    return torch.stack([torch.full((*size, channels), value / 255) for value in values])


async def test_results_are_in_the_order_of_their_sources(upscale, sandbox):
    images, report, words = await upscale(flat(10, 60, 110, 160, 210))
    assert images.shape == (5, 48, 64, 3)
    assert (images[:, 24, 32, 0] * 255).round().tolist() == [10, 60, 110, 160, 210]
    assert [job["reused"] for job in report["jobs"]] == [False] * 5
    assert report["cost_usd"] == pytest.approx(5 * 48 * 64 / 1e6 * 0.001, rel=0.5)
    assert words.startswith("done: $")
    assert len(sandbox.jobs) == 5


async def test_equal_pictures_of_a_batch_are_one_job(upscale, sandbox):
    images, report, words = await upscale(flat(70, 70, 70))
    assert images.shape[0] == 3
    assert sorted(job["reused"] for job in report["jobs"]) == [False, True, True]
    assert "2 of 3 reused" in words
    assert len(sandbox.jobs) == 1


async def test_the_same_tensor_again_costs_nothing(upscale, sandbox):
    first, *_ = await upscale(flat(33, 44))
    second, report, words = await upscale(flat(33, 44))
    assert torch.equal(first, second)
    assert words == "done: reused"
    assert report["cost_usd"] == 0
    assert len(sandbox.jobs) == 2


async def test_without_reuse_it_is_paid_again(upscale, sandbox):
    for _ in range(2):
        await upscale(flat(35), options=RunOptions(reuse=False))
    assert len(sandbox.jobs) == 2


async def test_alpha_is_put_back(upscale):
    source = flat(90, channels=4)
    source[..., 3] = 1
    source[:, :, :16, 3] = 0
    images, *_ = await upscale(source)
    assert images.shape == (1, 48, 64, 4)
    assert images[0, :, 40:, 3].eq(1).all()
    assert images[0, :, :24, 3].eq(0).all()


async def test_one_failure_stops_the_batch_and_what_is_paid_is_kept(upscale, sandbox):
    sandbox.faults.add("run", faulty.fails("content_policy_violation"), skip=1)
    with pytest.raises(RemoteUpscaleError) as caught:
        await upscale(flat(1, 2, 3))
    assert caught.value.kind == "content_rejected"
    assert str(caught.value).startswith("Picture ")
    sandbox.faults.clear()
    images, *_ = await upscale(flat(1, 2, 3))
    assert len(images) == 3


async def test_a_failed_picture_keeps_its_source_where_that_is_wished(upscale, sandbox):
    sandbox.faults.add("run", faulty.fails("content_policy_violation"))
    images, report, words = await upscale(flat(50, 50), options=RunOptions(on_failure=OnFailure.KEEP_SOURCE))
    assert (images[:, 20, 20, 0] * 255).round().tolist() == [50, 50]
    failed = [job for job in report["jobs"] if job["state"] == "failed"]
    assert [job["error"]["kind"] for job in failed] == ["content_rejected"]
    assert "Lanczos" in failed[0]["notes"][0]
    assert "1 of 2 failed, sources kept" in words
    assert report["cost_usd"] is None  # nobody knows whether the failed one is charged


async def test_where_every_picture_fails_the_sources_come_back_as_they_were(upscale, sandbox):
    sandbox.faults.add("run", faulty.fails("content_policy_violation"), times=None)
    source = flat(5, 6)
    images, *_ = await upscale(source, options=RunOptions(on_failure=OnFailure.KEEP_SOURCE))
    assert torch.equal(images, source)


async def test_what_all_pictures_cost_together_is_limited(upscale, sandbox):
    with pytest.raises(BudgetExceeded):
        await upscale(flat(1, 2), model=CRYSTAL, parameters={}, options=RunOptions(max_cost=Decimal("0.06")))
    assert sandbox.jobs == []
    with pytest.raises(BudgetExceeded, match=r"Picture \d of 2: "):
        await upscale(flat(1, 2), model=CRYSTAL, parameters={}, options=RunOptions(max_cost=Decimal("0.13")))
    assert len(sandbox.jobs) <= 1
    await upscale(flat(1, 2), model=CRYSTAL, parameters={}, options=RunOptions(max_cost=Decimal("0.14")))
    assert len(sandbox.jobs) == 2


async def test_what_is_there_already_and_twins_take_nothing_of_what_may_be_spent(upscale, sandbox):
    await upscale(flat(1), model=CRYSTAL, parameters={})
    most = RunOptions(max_cost=Decimal("0.08"))
    await upscale(flat(1, 2, 2, 1), model=CRYSTAL, parameters={}, options=most)
    assert len(sandbox.jobs) == 2


@pytest.mark.parametrize(("options", "told"), [(RunOptions(private=True), True), (RunOptions(), False)])
async def test_privacy_that_a_model_does_not_offer_is_told(upscale, options, told):
    _, report, _ = await upscale(flat(3), model=CRYSTAL, parameters={}, options=options)
    assert any("private had no effect" in note for note in report["jobs"][0]["notes"]) is told


async def test_errors_of_no_picture_are_not_covered_up_by_sources(upscale, sandbox):
    sandbox.faults.add("submit", faulty.error(401), times=None)
    with pytest.raises(AuthenticationFailed):
        await upscale(flat(1, 2), options=RunOptions(on_failure=OnFailure.KEEP_SOURCE))


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (8, 8, 3), (1, 8, 8, 1)])
async def test_what_is_no_batch_of_pictures_is_refused(upscale, sandbox, shape):
    with pytest.raises(InvalidInput):
        await upscale(torch.zeros(shape))
    assert sandbox.requests == []


async def test_a_wrong_parameter_is_refused_before_any_work(upscale, sandbox):
    with pytest.raises(InvalidParameter):
        await upscale(flat(1), parameters={"upscale_factor": 99})
    assert sandbox.requests == []


@pytest.mark.parametrize("channels", [3, 4])
async def test_only_a_few_pictures_are_encoded_ahead_of_the_upload(runtime, sandbox, tmp_path, channels):
    """However many there are; and once they are hosted, all are in flight at once."""
    sandbox.faults.add("upload", faulty.slow(0.2), times=None)
    sandbox.faults.add("status", faulty.state("IN_PROGRESS"), times=None)
    (tmp_path / "work").mkdir()
    folder = WorkingFolder(tmp_path / "work")
    count = 12
    images = flat(*range(10, 10 + count), channels=channels)
    batch = Batch(model=SEEDVR2, images=images, parameters=PNG, options=RunOptions(), folder=folder)
    with folder.hold():
        task = asyncio.create_task(upscale_images(batch, runtime, NodeProgress(count)))
        while len(sandbox.jobs) < count:
            uploaded = sum("/fal/cdn/" in one.path and one.status == 200 for one in sandbox.requests)
            assert len(list(folder.path.iterdir())) - uploaded <= available_threads() + 2
            await asyncio.sleep(0.01)
        sandbox.faults.clear()
        made = await task
    assert made.images.shape == (count, 48, 64, channels)


async def test_pictures_that_wait_for_an_equal_one_hold_nobody_up(runtime, sandbox, tmp_path):
    sandbox.faults.add("status", faulty.state("IN_PROGRESS"), times=None)
    (tmp_path / "work").mkdir()
    folder = WorkingFolder(tmp_path / "work")
    images = flat(*[70] * 9, 80)
    batch = Batch(model=SEEDVR2, images=images, parameters=PNG, options=RunOptions(), folder=folder)
    with folder.hold():
        task = asyncio.create_task(upscale_images(batch, runtime, NodeProgress(10)))
        async with asyncio.timeout(30):
            while len(sandbox.jobs) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        sandbox.faults.clear()
        await task
    assert len(sandbox.jobs) == 2


async def test_what_is_interrupted_leaves_nothing_behind(runtime, sandbox, tmp_path):
    sandbox.faults.add("upload", faulty.slow(0.5), times=None)
    (tmp_path / "work").mkdir()
    folder = WorkingFolder(tmp_path / "work")
    batch = Batch(model=SEEDVR2, images=flat(1, 2, 3), parameters=PNG, options=RunOptions(), folder=folder)
    with folder.hold():
        task = asyncio.create_task(upscale_images(batch, runtime, NodeProgress(3)))
        while not any(folder.path.iterdir()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(10):
        while folder.path.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert sandbox.jobs == []


async def test_results_of_different_sizes_are_refused_by_name(upscale, sandbox):
    sandbox.faults.add("run", faulty.resized(1.5), skip=2)
    with pytest.raises(RemoteUpscaleError, match=r"differ in size|pixels"):
        await upscale(flat(1, 2, 3))
