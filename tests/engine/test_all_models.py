"""All eight models from a file to a file, with every optional parameter, against the sandbox."""

import json

import av
import pytest
from PIL import Image
from remote_upscale.api_clients.engine import Engine, Job, Stage
from remote_upscale.api_clients.registry import MODELS, find_model

HOOK = {"webhook": "https://studio.example/hook", "webhook_events_filter": ["completed"]}
EVERYTHING = {
    "pixazo/seedvr2-3b-image": {
        "upscale_mode": "factor",
        "upscale_factor": 2.5,
        "noise_scale": 0.1,
        "output_format": "webp",
        "seed": 3,
        "sync_mode": True,
        **HOOK,
    },
    "pixazo/seedvr2-3b-video": {
        "upscale_mode": "factor",
        "upscale_factor": 2,
        "noise_scale": 0.1,
        "output_format": "H265 (.mp4)",
        "output_quality": "low",
        "output_write_mode": "fast",
        "seed": 3,
        **HOOK,
    },
    "pixazo/seedvr2-7b-image": {
        "upscale_factor": 4.0,
        "res_h": 300,
        "res_w": 480,
        "output_format": "png",
        "noise_scale": 0.5,
        "seed": 12345,
        "job_id": "mine",
    },
    "pixazo/topaz-video": {"upscale_factor": 4},
    "pixazo/crystal-image": {"scale_factor": 4, **HOOK},
    "apixo/image-upscaler": {
        "request_type": "callback",
        "callback_url": "https://studio.example/hook",
        "mode": "image-to-image",
        "resolution": "2k",
        "output_format": "jpeg",
    },
    "fal/seedvr2-image": {
        "upscale_mode": "target",
        "target_resolution": "720p",
        "seed": 3,
        "noise_scale": 0.125,
        "output_format": "png",
        "sync_mode": True,
    },
    "fal/seedvr2-seamless": {
        "upscale_mode": "factor",
        "upscale_factor": 3,
        "seed": 3,
        "noise_scale": 0.1,
        "enable_safety_checker": False,
        "output_format": "jpeg",
        "sync_mode": False,
    },
}
SIZES = {
    "pixazo/seedvr2-3b-image": (160, 100),
    "pixazo/seedvr2-3b-video": (192, 128),
    "pixazo/seedvr2-7b-image": (480, 300),
    "pixazo/topaz-video": (384, 256),
    "pixazo/crystal-image": (256, 160),
    "apixo/image-upscaler": (2048, 1280),
    "fal/seedvr2-image": (1152, 720),
    "fal/seedvr2-seamless": (192, 120),
}


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
@pytest.mark.parametrize("full", [False, True], ids=["defaults", "everything"])
async def test_from_a_file_to_a_file(model, full, settings, sandbox, photo, clip, tmp_path):
    parameters = EVERYTHING[model.id] if full else {}
    suffix = "." + model.output_format(model.effective(parameters))
    job = Job(
        model=model,
        parameters=parameters,
        source=clip if model.media == "video" else photo,
        destination=tmp_path / "out" / f"result{suffix}",
    )
    stages = []
    async with Engine(settings) as engine:
        plan = await engine.plan(job)
        outcome = await engine.run(job, lambda progress: stages.append(progress.stage))
        [row] = engine.ledger.jobs()

    assert size_of(outcome.path) == (outcome.width, outcome.height)
    assert plan.expected.plausible((outcome.width, outcome.height))
    if full:
        assert (outcome.width, outcome.height) == SIZES[model.id]
    assert (outcome.reused, outcome.cost) == (False, plan.cost)
    assert list(dict.fromkeys(stages)) == [Stage.HOSTING, Stage.QUEUED, Stage.FETCHING]
    assert list(outcome.path.parent.iterdir()) == [outcome.path]

    [submit] = [r for r in sandbox.requests if r.method == "POST" and r.path.endswith(model.endpoint)]
    hosted = json.loads(submit.body)
    link = hosted.get(model.media_field) or hosted["input"]["image_urls"][0]
    provider = engine._providers[model.provider](settings.roots)
    expected = provider.submit(model, model.effective(parameters), link)
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
    async with Engine(settings) as engine:
        with pytest.raises(Exception, match="must be 2 or 4"):
            await engine.run(job)
        assert engine.ledger.jobs() == []
    assert sandbox.requests == []
