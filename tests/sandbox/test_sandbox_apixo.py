"""APIXO, against the examples and tables of its page."""

import json

import pytest
from faults import Stage, error, fails, garbage, no_output, state, string_output
from remote_upscale.api_clients.sandbox import Delays

KEY = {"Authorization": "Bearer key"}


def submit(client, sandbox, body, headers=KEY):
    return client.post(f"{sandbox.roots.apixo}/generateTask/image-upscaler", headers=headers, json=body)


def status(client, sandbox, task_id, headers=KEY):
    return client.get(
        f"{sandbox.roots.apixo}/statusTask/image-upscaler", params={"taskId": task_id}, headers=headers
    )


async def accepted(client, sandbox, url, **fields):
    body = {"request_type": "async", "input": {"mode": "image-to-image", "image_urls": [url], **fields}}
    return (await submit(client, sandbox, body)).json()["data"]["taskId"]


async def test_submit_and_success_are_as_on_the_page(sandbox, client, input_url):
    reply = await submit(client, sandbox, {"request_type": "async", "input": {"image_urls": [input_url]}})
    assert reply.status_code == 200
    task_id = reply.json()["data"]["taskId"]
    assert reply.json() == {"code": 200, "message": "success", "data": {"taskId": task_id}}
    assert reply.headers["retry-after"] == "0"
    body = (await status(client, sandbox, task_id)).json()
    assert (body["code"], body["message"]) == (200, "success")
    data = body["data"]
    assert list(data) == ["taskId", "state", "resultJson", "createTime", "completeTime", "costTime"]
    assert data["state"] == "success"
    assert isinstance(data["resultJson"], str)
    [link] = json.loads(data["resultJson"])["resultUrls"]
    assert (await client.get(link)).headers["content-type"] == "image/jpeg"
    assert data["costTime"] == data["completeTime"] - data["createTime"]


async def test_states_run_through_as_documented(start, client):
    sandbox = await start(delays=Delays(queue=1, run=1))
    task_id = await accepted(client, sandbox, f"{sandbox.url}/none")
    seen = []
    while not seen or seen[-1] != "failed":
        data = (await status(client, sandbox, task_id)).json()["data"]
        if data["state"] not in seen:
            seen.append(data["state"])
        assert ("completeTime" in data) == (data["state"] == "failed")
    assert seen == ["pending", "processing", "failed"]


URL = "https://example.com/input.jpg"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"request_type": "async"}, "The required parameter {{input}} is missing."),
        ({"input": {"mode": "text"}}, "Invalid mode type. Supported: image-to-image"),
        ({"input": {}}, "The required parameter {{image_urls}} is missing."),
        ({"input": {"image_urls": URL}}, "The parameter {{image_urls}} must be Array type."),
        ({"input": {"image_urls": []}}, "The parameter {{image_urls}} must contain exactly 1 image."),
        ({"input": {"image_urls": [URL, URL]}}, "The parameter {{image_urls}} must contain exactly 1 image."),
        ({"input": {"image_urls": [7]}}, "The parameter {{image_urls}} Array elements must be String type."),
        ({"input": {"image_urls": [""]}}, "The parameter {{image_urls}} cannot contain empty string."),
        (
            {"input": {"image_urls": [URL], "resolution": "16k"}},
            "The parameter {{resolution}} must be either '2k', '4k' or '8k'.",
        ),
        (
            {"input": {"image_urls": [URL], "output_format": "gif"}},
            "The parameter {{output_format}} must be either 'jpg', 'png' or 'webp'.",
        ),
        (
            {"request_type": "callback", "input": {"image_urls": [URL]}},
            "The required parameter {{callback_url}} is missing.",
        ),
    ],
)
async def test_validation_messages_are_the_pages_own(sandbox, client, body, message):
    reply = await submit(client, sandbox, body)
    assert reply.status_code == 400
    assert reply.json() == {"code": 400, "message": message, "data": None}
    assert sandbox.jobs == []


async def test_resolution_ignores_case_and_jpeg_is_an_alias(sandbox, client, input_url):
    await accepted(client, sandbox, input_url, resolution="2K", output_format="jpeg")
    [job] = sandbox.jobs
    assert job.values["resolution"] == "2k"
    assert job.result.size == (2048, 1365)
    assert job.result.media_type == "image/jpeg"


async def test_the_body_must_be_json_and_say_so(sandbox, client):
    address = f"{sandbox.roots.apixo}/generateTask/image-upscaler"
    for content, content_type in (
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"{}", "text/plain"),
    ):
        reply = await client.post(address, headers={**KEY, "Content-Type": content_type}, content=content)
        assert reply.json() == {"code": 400, "message": "Invalid request.", "data": None}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Key key"}, {"Authorization": "Bearer"}])
async def test_without_a_key_nothing_works(sandbox, client, headers):
    for reply in (
        await submit(client, sandbox, {}, headers),
        await status(client, sandbox, "x", headers),
        await client.get(f"{sandbox.roots.apixo}/apikeys/current-balance", headers=headers),
    ):
        assert reply.status_code == 401
        assert reply.json()["code"] == 401


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 429, 500, 502, 504])
async def test_http_errors_are_envelopes(sandbox, client, input_url, code):
    sandbox.faults.add(Stage.SUBMIT, error(code), model="apixo/image-upscaler")
    reply = await submit(client, sandbox, {"input": {"image_urls": [input_url]}})
    assert reply.status_code == code
    assert (reply.json()["code"], reply.json()["data"]) == (code, None)
    assert reply.json()["message"]


async def test_a_200_can_carry_an_error_code(sandbox, client, input_url):
    sandbox.faults.add(Stage.SUBMIT, error(402, http_status=200))
    reply = await submit(client, sandbox, {"input": {"image_urls": [input_url]}})
    assert (reply.status_code, reply.json()["code"]) == (200, 402)


@pytest.mark.parametrize(
    "code", ["ImageFormatIncorrect", "SensitiveContent", "RateLimited", "Timeout", "Unknown error", "NEW_ONE"]
)
async def test_task_failures_are_http_200(sandbox, client, input_url, code):
    sandbox.faults.add(Stage.RUN, fails(code))
    reply = await status(client, sandbox, await accepted(client, sandbox, input_url))
    assert reply.status_code == 200
    data = reply.json()["data"]
    assert list(data) == ["taskId", "state", "failCode", "failMsg", "createTime", "completeTime"]
    assert (data["state"], data["failCode"]) == ("failed", code)
    assert [job.charged for job in sandbox.jobs] == [True]


async def test_an_unknown_task_is_not_found(sandbox, client):
    reply = await status(client, sandbox, "task_12345678")
    assert reply.status_code == 404
    assert reply.json()["message"] == "Task not found"


async def test_the_balance_can_be_asked(sandbox, client):
    reply = await client.get(f"{sandbox.roots.apixo}/apikeys/current-balance", headers=KEY)
    assert reply.json()["code"] == 200
    assert reply.json()["data"]["balance"] > 0


async def test_success_can_be_bent(sandbox, client, input_url):
    task_id = await accepted(client, sandbox, input_url)
    for action in (no_output(), string_output(), state("archived"), garbage("nested")):
        sandbox.faults.add(Stage.STATUS, action)
    replies = [await status(client, sandbox, task_id) for _ in range(5)]
    assert "resultJson" not in replies[0].json()["data"]
    assert isinstance(json.loads(replies[1].json()["data"]["resultJson"])["resultUrls"], str)
    assert replies[2].json()["data"]["state"] == "archived"
    with pytest.raises(RecursionError):
        replies[3].json()
    assert replies[4].json()["data"]["state"] == "success"


async def test_more_than_ten_megabytes_are_refused(sandbox, client, host):
    url = await host(sandbox, b"\xff\xd8\xff" + bytes(10_000_000), "image/jpeg")
    data = (await status(client, sandbox, await accepted(client, sandbox, url))).json()["data"]
    assert (data["state"], data["failCode"]) == ("failed", "IMAGE_TOO_LARGE")
