"""The time that a job will probably still take, from what earlier ones took."""

from dataclasses import replace
from fractions import Fraction

import pytest
from remote_upscale.api_clients.engine import Engine, Job, Stage
from remote_upscale.api_clients.registry import find_model
from remote_upscale.api_clients.sandbox import Delays


@pytest.fixture
def follow(settings, sandbox, tmp_path):
    """Runs a job that takes a moment, and gives what it reported while the provider had it."""
    sandbox.delays = Delays(queue=0.2, run=0.4)

    async def follow(source, model="pixazo/crystal-image", **changes):
        job = Job(
            model=replace(find_model(model), first_poll=0.05),
            parameters={},
            source=source,
            destination=tmp_path / "out",
            reuse=False,
        )
        reports = []
        async with Engine.open(settings) as engine:
            await engine.run(replace(job, **changes), reports.append)
        return [r.remaining for r in reports if r.stage in (Stage.QUEUED, Stage.RUNNING)]

    return follow


async def test_the_second_of_a_kind_knows_how_long_it_takes(follow, photo):
    assert set(await follow(photo)) == {None}
    first, *rest = await follow(photo)
    assert first is None  # before the submit nothing runs that could end
    assert all(seconds is not None for seconds in rest)
    assert rest == sorted(rest, reverse=True)
    assert 0 < rest[0] < 5


async def test_another_size_is_another_kind(follow, photo, draw, tmp_path):
    await follow(photo)
    draw((200, 160)).save(tmp_path / "large.png")
    assert set(await follow(tmp_path / "large.png")) == {None}


async def test_a_clip_counts_by_its_frames(settings, clip):
    model = find_model("pixazo/topaz-video")
    job = Job(model=model, parameters={}, source=clip, destination=clip.with_name("out.mp4"))
    async with Engine.open(settings) as engine:
        plan = await engine.estimate(job)
    assert plan.input.frame_rate == Fraction(30000, 1001)
    assert plan.pixels == 12 * 192 * 128
