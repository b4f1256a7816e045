"""All eight models from a file to a file with their defaults, against the sandbox."""

import json

import av
import pytest
from PIL import Image
from remote_upscale.api_clients.engine import Engine, Job, Stage
from remote_upscale.api_clients.registry import MODELS, find_model


def size_of(path):
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 12
            assert len(container.streams.audio) == 1
            return container.streams.video[0].width, container.streams.video[0].height
    with Image.open(path) as picture:
        picture.load()
        return picture.size


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
async def test_from_a_file_to_a_file(model, settings, sandbox, photo, clip, tmp_path):
    suffix = "." + model.output_format(model.check({}).values)
    job = Job(
        model=model,
        parameters={},
        source=clip if model.media == "video" else photo,
        destination=tmp_path / "out" / f"result{suffix}",
    )
    stages = []
    async with Engine.open(settings) as engine:
        plan = await engine.estimate(job)
        outcome = await engine.run(job, lambda progress: stages.append(progress.stage))
        [row] = engine.ledger.sync.jobs()

    assert size_of(outcome.path) == (outcome.width, outcome.height)
    assert plan.expected.plausible((outcome.width, outcome.height))
    assert (outcome.reused, outcome.cost) == (False, plan.cost)
    assert list(dict.fromkeys(stages)) == [Stage.HOSTING, Stage.QUEUED, Stage.FETCHING]
    assert list(outcome.path.parent.iterdir()) == [outcome.path]

    [submit] = [r for r in sandbox.requests if r.method == "POST" and r.path.endswith(model.endpoint)]
    hosted = json.loads(submit.body)
    link = hosted.get(model.media_field) or hosted["input"]["image_urls"][0]
    provider = engine.services.client(model).provider
    expected = provider.submit(model, model.check({}).values, link)
    assert submit.body == expected.body
    assert (row.state, row.request_id, row.cost) == ("completed", outcome.request_id, plan.cost)
    assert row.parameters == json.loads(json.dumps(plan.values))


async def test_invented_parameters_are_refused_before_anything_is_sent(settings, sandbox, photo, tmp_path):
    job = Job(
        model=find_model("pixazo/topaz-video"),
        parameters={"upscale_factor": 3},
        source=photo,
        destination=tmp_path / "x.mp4",
    )
    async with Engine.open(settings) as engine:
        with pytest.raises(Exception, match="must be 2 or 4"):
            await engine.run(job)
        assert engine.ledger.sync.jobs() == []
    assert sandbox.requests == []
