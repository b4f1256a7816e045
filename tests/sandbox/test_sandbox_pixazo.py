"""The Pixazo gateway, against the examples of its pages."""

import re

import pytest
from faults import Stage, error, fails, finished, finished_list, state
from remote_upscale.api_clients.registry import MODELS
from remote_upscale.api_clients.sandbox import Delays

KEY = {"Ocp-Apim-Subscription-Key": "key"}

SUBMITS = {
    "pixazo/seedvr2-3b-image": (
        "seedvr-upscale/v1/upscale-image/generate",
        "seedvr-upscale",
        "seedvr-upscale",
    ),
    "pixazo/seedvr2-7b-image": (
        "seedvr2-7b-upscale/image-request",
        "seedvr2-7b-upscale",
        "seedvr2-7b-upscale",
    ),
    "pixazo/crystal-image": ("upscaler/v1/upscale", "upscaler", "crystal-upscaler"),
}


@pytest.mark.parametrize("model_id", SUBMITS)
async def test_submit_status_and_result_are_as_on_the_page(sandbox, client, input_url, model_id):
    path, prefix, model_name = SUBMITS[model_id]
    reply = await client.post(
        f"{sandbox.roots.pixazo}/{path}", headers=KEY, json={MODELS[model_id].media_field: input_url}
    )
    assert reply.status_code == 202
    assert list(reply.json()) == ["request_id", "status", "polling_url"]
    request_id = reply.json()["request_id"]
    assert re.fullmatch(rf"{prefix}_[0-9a-f-]{{36}}", request_id)
    assert reply.json()["status"] == "QUEUED"
    assert reply.json()["polling_url"] == f"{sandbox.roots.pixazo}/v2/requests/status/{request_id}"

    status = (await client.get(reply.json()["polling_url"], headers=KEY)).json()
    assert list(status) == [
        "request_id", "status", "model_id", "error", "output", "created_at", "updated_at", "completed_at",
    ]  # fmt: skip
    assert status["status"] == "COMPLETED"
    assert status["model_id"] == model_name
    assert status["error"] is None
    assert status["output"]["media_type"] == "image/png"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", status["created_at"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", status["completed_at"])
    file = await client.get(status["output"]["media_url"][0])  # without a key
    assert file.status_code == 200
    assert file.headers["content-type"] == "image/png"
    assert file.content.startswith(b"\x89PNG")


async def test_states_run_through_as_documented(start, client):
    sandbox = await start(delays=Delays(queue=1, run=1))
    reply = await client.post(
        f"{sandbox.roots.pixazo}/upscaler/v1/upscale", headers=KEY, json={"image": f"{sandbox.url}/none"}
    )
    assert reply.headers["retry-after"] == "2"
    seen = []
    while not seen or seen[-1] not in ("COMPLETED", "ERROR", "FAILED"):
        status = (await client.get(reply.json()["polling_url"], headers=KEY)).json()
        if status["status"] not in seen:
            seen.append(status["status"])
        assert (status["completed_at"] is None) == (status["status"] in ("QUEUED", "PROCESSING"))
    assert seen == ["QUEUED", "PROCESSING", "ERROR"]


@pytest.mark.parametrize("headers", [{}, {"Ocp-Apim-Subscription-Key": ""}, {"Authorization": "Bearer key"}])
async def test_without_a_key_nothing_is_accepted(sandbox, client, headers):
    for reply in (
        await client.post(
            f"{sandbox.roots.pixazo}/upscaler/v1/upscale", headers=headers, json={"image": "x"}
        ),
        await client.get(f"{sandbox.roots.pixazo}/v2/requests/status/x", headers=headers),
    ):
        assert reply.status_code == 401
        assert reply.json()["statusCode"] == 401
    assert sandbox.jobs == []


async def test_only_the_configured_key_is_valid(start, client):
    sandbox = await start(keys={"pixazo": "right"})
    address = f"{sandbox.roots.pixazo}/v2/requests/status/x"
    wrong = await client.get(address, headers={"Ocp-Apim-Subscription-Key": "wrong"})
    right = await client.get(address, headers={"Ocp-Apim-Subscription-Key": "right"})
    assert (wrong.status_code, right.status_code) == (401, 404)


async def test_an_unknown_model_is_refused_as_on_the_page(sandbox, client):
    reply = await client.post(f"{sandbox.roots.pixazo}/some-model/v1/go", headers=KEY, json={})
    assert reply.status_code == 400
    assert reply.json() == {
        "error": "Model not found",
        "message": "Model 'some-model' not found or is disabled",
    }


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("upscaler/v1/upscale", b"no json", "JSON"),
        ("upscaler/v1/upscale", b"{}", "image"),
        ("upscaler/v1/upscale", b'{"image": 5}', "image"),
        ("upscaler/v1/upscale", b'{"image": "http://127.0.0.1/", "scale_factor": 3}', "scale_factor"),
        ("upscaler/v1/upscale", b'{"image": "http://127.0.0.1/", "scale_factor": "4"}', "scale_factor"),
        (
            "seedvr-upscale/v1/upscale-image/generate",
            b'{"image_url": "http://127.0.0.1/", "upscale_factor": 8.5}',
            "upscale_factor",
        ),
        (
            "seedvr-upscale/v1/upscale-image/generate",
            b'{"image_url": "http://127.0.0.1/", "output_format": "jpeg"}',
            "output_format",
        ),
        ("seedvr2-7b-upscale/image-request", b'{"image_url": "http://127.0.0.1/", "res_w": 255}', "res_w"),
        (
            "topaz-upscale-video-753/v1/topaz-upscale-video-request",
            b'{"video_url": "http://127.0.0.1/", "upscale_factor": 3}',
            "upscale_factor",
        ),
    ],
)
async def test_bad_parameters_are_refused_before_a_job_exists(sandbox, client, path, body, named):
    reply = await client.post(f"{sandbox.roots.pixazo}/{path}", headers=KEY, content=body)
    assert reply.status_code == 400
    assert named in reply.json()["message"]
    assert sandbox.jobs == []


async def test_a_plain_http_webhook_is_refused(sandbox, client, input_url):
    reply = await client.post(
        f"{sandbox.roots.pixazo}/upscaler/v1/upscale",
        headers={**KEY, "X-Webhook-URL": "http://example.com/"},
        json={"image": input_url},
    )
    assert reply.status_code == 400


@pytest.mark.parametrize(
    ("status", "title"),
    [
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (402, "Insufficient Balance"),
        (403, "Forbidden"),
        (429, "Too Many Requests"),
        (500, "Internal Server Error"),
        (503, "Service Unavailable"),
    ],
)
async def test_queue_system_errors_have_the_documented_body(sandbox, client, input_url, status, title):
    sandbox.faults.add(Stage.SUBMIT, error(status, retry_after=1.2))
    address = f"{sandbox.roots.pixazo}/upscaler/v1/upscale"
    reply = await client.post(address, headers=KEY, json={"image": input_url})
    assert reply.status_code == status
    assert list(reply.json()) == ["error", "message"]
    assert reply.json()["error"] == title
    assert reply.headers["retry-after"] == "2"
    assert sandbox.jobs == []
    if status == 402:
        assert reply.json()["message"] == "Your wallet does not have enough balance."
    again = await client.post(address, headers=KEY, json={"image": input_url})
    assert again.status_code == 202


@pytest.mark.parametrize(
    ("word", "charged"), [("FAILED", True), ("ERROR", False), ("CANCELLED", True), ("CANCELED", True)]
)
async def test_a_job_can_end_badly_and_only_an_error_is_free(sandbox, client, input_url, word, charged):
    sandbox.faults.add(Stage.RUN, fails(word, "The model ran out of memory"))
    reply = await client.post(
        f"{sandbox.roots.pixazo}/upscaler/v1/upscale", headers=KEY, json={"image": input_url}
    )
    status = (await client.get(reply.json()["polling_url"], headers=KEY)).json()
    assert (status["status"], status["error"], status["output"]) == (
        word,
        "The model ran out of memory",
        None,
    )
    assert [job.charged for job in sandbox.jobs] == [charged]


async def test_a_finished_job_in_the_submit_reply(sandbox, client, input_url):
    address, body = f"{sandbox.roots.pixazo}/upscaler/v1/upscale", {"image": input_url}
    sandbox.faults.add(Stage.SUBMIT, finished())
    sandbox.faults.add(Stage.SUBMIT, finished_list())
    whole = (await client.post(address, headers=KEY, json=body)).json()
    assert whole["status"] == "COMPLETED"
    assert (await client.get(whole["output"]["media_url"][0])).status_code == 200
    short = (await client.post(address, headers=KEY, json=body)).json()
    assert list(short) == ["output"]
    assert (await client.get(short["output"][0]["url"])).status_code == 200


async def test_states_can_be_unknown_or_late(sandbox, client, input_url):
    reply = await client.post(
        f"{sandbox.roots.pixazo}/upscaler/v1/upscale", headers=KEY, json={"image": input_url}
    )
    sandbox.faults.add(Stage.STATUS, state("WARMING_UP"), times=2)
    sandbox.faults.add(Stage.STATUS, state("QUEUED"))
    words = [(await client.get(reply.json()["polling_url"], headers=KEY)).json()["status"] for _ in range(4)]
    assert words == ["WARMING_UP", "WARMING_UP", "QUEUED", "COMPLETED"]


async def test_sync_mode_brings_the_picture_in_the_reply(sandbox, client, input_url):
    reply = await client.post(
        f"{sandbox.roots.pixazo}/seedvr-upscale/v1/upscale-image/generate",
        headers=KEY,
        json={"image_url": input_url, "sync_mode": True, "output_format": "webp"},
    )
    status = (await client.get(reply.json()["polling_url"], headers=KEY)).json()
    assert status["output"]["media_url"][0].startswith("data:image/webp;base64,")


async def test_an_unknown_request_is_not_found(sandbox, client):
    reply = await client.get(f"{sandbox.roots.pixazo}/v2/requests/status/upscaler_1", headers=KEY)
    assert reply.status_code == 404
