"""Keys and other secrets are nowhere to be read, also where a provider's own words repeat them."""

import json
import logging
import sqlite3

import faults as faulty
import pytest
from remote_upscale.api_clients.engine import Engine, Job
from remote_upscale.api_clients.errors import RemoteUpscaleError
from remote_upscale.api_clients.redaction import hide
from remote_upscale.api_clients.registry import find_model

MODELS = ["pixazo/crystal-image", "apixo/image-upscaler", "fal/seedvr2-image"]
SECRET = "sk-live-5e3c9a7b1f8d4420"


def pieces(secret, length=8):
    return {secret[start : start + length] for start in range(len(secret) - length + 1)}


def readable(text):
    return sorted(piece for piece in pieces(SECRET) if piece in text)


@pytest.fixture
def job(photo, tmp_path):
    hide(SECRET)

    def job(model):
        parameters = {"resolution": "2k"} if model.startswith("apixo") else {}
        return Job(
            model=find_model(model), parameters=parameters, source=photo, destination=tmp_path / "out.img"
        )

    return job


WORDS = [
    f"The key {SECRET} is not active",
    f"key={SECRET[:12]}… was refused",
    f"see https://example.com/keys/{SECRET}/usage",
]


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stage", ["submit", "status"])
async def test_a_providers_words_that_repeat_a_secret_are_shown_without_it(
    hasty, sandbox, job, caplog, model, words, stage
):
    caplog.set_level(logging.DEBUG)
    body = {"code": 400, "message": words, "error": words, "detail": words, "error_type": "bad_request"}
    sandbox.faults.add(stage, faulty.literal(json.dumps(body), status=400), times=None)
    async with Engine.open(hasty) as engine:
        with pytest.raises(RemoteUpscaleError) as caught:
            await engine.run(job(model))
    assert readable(f"{caught.value}{caught.value!r}{caught.value.message}{caught.value.hint}") == []
    assert readable(caplog.text) == []
    database = sqlite3.connect(hasty.home / "ledger.sqlite")
    assert readable("\n".join(database.iterdump())) == []
    database.close()


@pytest.mark.parametrize("model", MODELS)
async def test_a_jobs_own_failure_that_repeats_a_secret_is_recorded_without_it(hasty, sandbox, job, model):
    sandbox.faults.add("run", faulty.fails("FAILED", WORDS[0]), times=1)
    async with Engine.open(hasty) as engine:
        with pytest.raises(RemoteUpscaleError) as caught:
            await engine.run(job(model))
        [row] = await engine.ledger.call(engine.ledger.sync.jobs)
    assert readable(str(caught.value)) == []
    assert readable(row.error_message) == []
