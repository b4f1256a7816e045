"""Adding a model touches one declaration: checks, help, sandbox, engine and command line follow from it."""

import json

import pytest
from PIL import Image
from remote_upscale.api_clients.engine import Engine, Job
from remote_upscale.api_clients.errors import InvalidParameter
from remote_upscale.api_clients.models import Limits, Media, Model
from remote_upscale.api_clients.parameters import Choice, Integer
from remote_upscale.api_clients.prices import Unknown
from remote_upscale.api_clients.registry import MODELS
from remote_upscale.api_clients.sandbox import Delays, Sandbox
from remote_upscale.api_clients.sizes import ByFactor

INVENTED = Model(
    id="pixazo/invented-image",
    node_id="RemoteUpscalePixazoInvented",
    title="Invented (Pixazo)",
    summary="Upscales a picture by imagination.",
    endpoint="/invented/v1/upscale",
    media=Media.IMAGE,
    media_field="picture",
    parameters=(
        Integer(name="times", help="How many times larger each side becomes.", choices=(3, 5), default=3),
        Choice(name="mood", help="In which mood the model should be.", choices=("calm", "wild")),
    ),
    limits=Limits(formats=("png",), max_bytes=50_000),
    sizing=ByFactor("times"),
    price=Unknown(source="invented"),
    first_poll=1,
)
ALL = {**MODELS, INVENTED.id: INVENTED}


@pytest.fixture
async def sandbox():
    async with Sandbox(ALL.values(), delays=Delays(queue=0, run=0)) as running:
        yield running


async def test_it_runs_from_a_file_to_a_file(settings, sandbox, photo, tmp_path):
    job = Job(
        model=INVENTED,
        parameters={"times": 5, "mood": "wild"},
        source=photo,
        destination=tmp_path / "out.png",
    )
    async with Engine.open(settings, models=ALL) as engine:
        outcome = await engine.run(job)
    with Image.open(outcome.path) as picture:
        assert picture.size == (320, 200)
    [submit] = [r for r in sandbox.requests if r.path.endswith("/invented/v1/upscale")]
    body = json.loads(submit.body)
    assert list(body) == ["picture", "times", "mood"]
    assert body["times"] == 5


def test_it_is_validated():
    with pytest.raises(InvalidParameter, match="times is 4, but it must be 3 or 5"):
        INVENTED.check({"times": 4})


async def test_the_sandbox_refuses_what_the_declaration_refuses(settings, sandbox, photo, tmp_path):
    lenient = Model(**{**vars(INVENTED), "parameters": (Integer(name="times", help="", default=4),)})
    job = Job(model=lenient, parameters={}, source=photo, destination=tmp_path / "out.png")
    async with Engine.open(settings, models=ALL) as engine:
        with pytest.raises(InvalidParameter, match="refused the request"):
            await engine.run(job)
    assert sandbox.jobs == []
