"""fal's queue, against its page and the published client's shapes."""

import base64
import json

import pytest
from faults import Stage, error, fails, ignored, state
from remote_upscale.api_clients.sandbox import Delays, State

KEY = {"Authorization": "Key key"}
IMAGE = "fal-ai/seedvr/upscale/image"


async def submit(client, sandbox, endpoint=IMAGE, **body):
    return await client.post(f"{sandbox.roots.fal_queue}/{endpoint}", headers=KEY, json=body)


async def failed(client, sandbox, **body):
    """The status and the result's reply of a job that failed."""
    handle = (await submit(client, sandbox, **body)).json()
    status = await client.get(handle["status_url"], headers=KEY)
    return status, await client.get(handle["response_url"], headers=KEY)


@pytest.mark.parametrize("endpoint", [IMAGE, f"{IMAGE}/seamless"])
async def test_follow_up_addresses_carry_owner_and_app_only(sandbox, client, input_url, endpoint):
    reply = await submit(client, sandbox, endpoint, image_url=input_url)
    assert reply.status_code == 200
    handle = reply.json()
    base = f"{sandbox.roots.fal_queue}/fal-ai/seedvr/requests/{handle['request_id']}"
    assert handle == {
        "request_id": handle["request_id"],
        "response_url": base,
        "status_url": f"{base}/status",
        "cancel_url": f"{base}/cancel",
        "queue_position": 0,
    }


async def test_status_and_result_of_a_finished_job(sandbox, client, input_url):
    handle = (await submit(client, sandbox, image_url=input_url, seed=5)).json()
    status = await client.get(handle["status_url"], headers=KEY)
    assert status.status_code == 200
    assert status.json()["status"] == "COMPLETED"
    assert status.json()["metrics"]["inference_time"] >= 0
    assert "error" not in status.json()
    result = await client.get(handle["response_url"], headers=KEY)
    assert result.status_code == 200
    image = result.json()["image"]
    assert result.json()["seed"] == 5
    assert (image["content_type"], image["width"], image["height"]) == ("image/jpeg", 120, 80)
    file = await client.get(image["url"])
    assert (len(file.content), file.headers["content-type"]) == (image["file_size"], "image/jpeg")


async def test_states_run_through_as_documented(start, client):
    sandbox = await start(delays=Delays(queue=1, run=1))
    first = (await submit(client, sandbox, image_url=f"{sandbox.url}/none")).json()
    second = (await submit(client, sandbox, image_url=f"{sandbox.url}/none")).json()
    assert (first["queue_position"], second["queue_position"]) == (0, 1)
    early = await client.get(first["response_url"], headers=KEY)
    assert (early.status_code, early.json()) == (400, {"detail": "Request is still in progress"})
    seen = {}
    while "COMPLETED" not in seen:
        reply = await client.get(first["status_url"], params={"logs": 1}, headers=KEY)
        seen[reply.json()["status"]] = reply
    assert list(seen) == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    assert [reply.status_code for reply in seen.values()] == [202, 202, 200]
    assert seen["IN_QUEUE"].json()["queue_position"] == 0
    assert {"message", "level", "timestamp"} <= set(seen["IN_PROGRESS"].json()["logs"][0])
    without = await client.get(second["status_url"], headers=KEY)
    assert without.json()["logs"] is None


async def test_the_status_stream_tells_the_same(start, client):
    sandbox = await start(delays=Delays(queue=1, run=1))
    handle = (await submit(client, sandbox, image_url=f"{sandbox.url}/none")).json()
    words = []
    async with client.stream("GET", f"{handle['status_url']}/stream", headers=KEY) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        async for line in stream.aiter_lines():
            if line.startswith("data: "):
                words.append(json.loads(line.removeprefix("data: "))["status"])
    assert words == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer key"}, {"Authorization": "Key"}])
async def test_a_bad_key_is_401(sandbox, client, headers):
    base = f"{sandbox.roots.fal_queue}/fal-ai/seedvr/requests/x"
    for reply in (
        await client.post(f"{sandbox.roots.fal_queue}/{IMAGE}", headers=headers, json={}),
        await client.get(f"{base}/status", headers=headers),
        await client.get(base, headers=headers),
        await client.put(f"{base}/cancel", headers=headers),
        await client.post(f"{sandbox.roots.fal_rest}/storage/auth/token", headers=headers, json={}),
    ):
        assert reply.status_code == 401
        assert isinstance(reply.json()["detail"], str)


async def test_an_unknown_endpoint_and_an_unknown_request_are_404(sandbox, client, input_url):
    assert (await submit(client, sandbox, "fal-ai/other")).status_code == 404
    handle = (await submit(client, sandbox, image_url=input_url)).json()
    elsewhere = handle["status_url"].replace("/seedvr/", "/other/")
    assert (await client.get(elsewhere, headers=KEY)).status_code == 404


@pytest.mark.parametrize(
    ("body", "field", "error_type", "context"),
    [
        ({}, "image_url", "missing", None),
        ({"image_url": 5}, "image_url", "string_type", None),
        ({"upscale_factor": 0.5}, "upscale_factor", "greater_than_equal", {"ge": 1}),
        ({"upscale_factor": 11}, "upscale_factor", "less_than_equal", {"le": 10}),
        ({"upscale_factor": "2"}, "upscale_factor", "float_type", None),
        ({"noise_scale": 0.0005}, "noise_scale", "multiple_of", {"multiple_of": 0.001}),
        ({"seed": 1.5}, "seed", "int_type", None),
        ({"sync_mode": "yes"}, "sync_mode", "bool_type", None),
        ({"output_format": "jpeg"}, "output_format", "one_of", {"expected": ["png", "jpg", "webp"]}),
    ],
)
async def test_validation_errors_are_lists_of_details(sandbox, client, body, field, error_type, context):
    url = "http://127.0.0.1:1/x"
    reply = await submit(
        client, sandbox, **(body if body in ({}, {"image_url": 5}) else {"image_url": url, **body})
    )
    assert reply.status_code == 422
    [item] = reply.json()["detail"]
    assert (item["loc"], item["type"], item.get("ctx")) == (["body", field], error_type, context)
    assert item["msg"]
    assert item["url"].startswith("https://docs.fal.ai/errors/")
    assert item["input"] == body.get(field)


async def test_both_a_factor_and_a_target_are_accepted_as_in_the_pages_example(sandbox, client, input_url):
    reply = await submit(
        client,
        sandbox,
        image_url=input_url,
        upscale_mode="factor",
        upscale_factor=2,
        target_resolution="1080p",
        noise_scale=0.1,
        output_format="png",
        sync_mode=False,
    )
    assert reply.status_code == 200
    assert sandbox.jobs[0].result.size == (120, 80)


async def test_an_exhausted_balance_is_403(sandbox, client, input_url):
    sandbox.faults.add(Stage.SUBMIT, error(403))
    reply = await submit(client, sandbox, image_url=input_url)
    assert reply.status_code == 403
    assert reply.json()["detail"].startswith("User is locked. Reason: Exhausted balance")


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
async def test_infrastructure_errors_are_one_sentence(sandbox, client, input_url, code):
    sandbox.faults.add(Stage.SUBMIT, error(code, code="runner_disconnected"))
    reply = await submit(client, sandbox, image_url=input_url)
    assert reply.status_code == code
    assert isinstance(reply.json()["detail"], str)
    assert reply.json()["error_type"] == "runner_disconnected"
    assert reply.headers["x-fal-retryable"] == "true"


@pytest.mark.parametrize(
    ("error_type", "code"),
    [
        ("content_policy_violation", 422),
        ("image_too_small", 422),
        ("image_too_large", 422),
        ("image_load_error", 422),
        ("file_download_error", 422),
        ("file_too_large", 422),
        ("generation_timeout", 504),
        ("downstream_service_error", 400),
        ("downstream_service_unavailable", 500),
        ("internal_server_error", 500),
    ],
)
async def test_a_failed_job_is_completed_with_an_error(sandbox, client, input_url, error_type, code):
    sandbox.faults.add(Stage.RUN, fails(error_type))
    status, result = await failed(client, sandbox, image_url=input_url)
    assert (status.status_code, status.json()["status"]) == (200, "COMPLETED")
    assert status.json()["error_type"] == error_type
    assert status.json()["error"]
    assert result.status_code == code
    assert result.json()["detail"][0]["type"] == error_type


@pytest.mark.parametrize(
    ("error_type", "code"),
    [("request_timeout", 504), ("startup_timeout", 504), ("runner_server_error", 500)],
)
async def test_a_job_that_the_infrastructure_lost(sandbox, client, input_url, error_type, code):
    sandbox.faults.add(Stage.RUN, fails(error_type))
    _, result = await failed(client, sandbox, image_url=input_url)
    assert result.status_code == code
    assert result.json()["error_type"] == error_type


async def test_cancelling(start, client):
    sandbox = await start(delays=Delays(queue=60, run=60))
    handle = (await submit(client, sandbox, image_url=f"{sandbox.url}/none")).json()
    reply = await client.put(handle["cancel_url"], headers=KEY)
    assert (reply.status_code, reply.json()) == (202, {"status": "CANCELLATION_REQUESTED"})
    assert sandbox.jobs[0].state is State.CANCELLED
    again = await client.put(handle["cancel_url"], headers=KEY)
    assert (again.status_code, again.json()) == (400, {"status": "ALREADY_COMPLETED"})
    unknown = await client.put(handle["cancel_url"].replace(handle["request_id"], "x"), headers=KEY)
    assert unknown.status_code == 404
    status = await client.get(handle["status_url"], headers=KEY)
    assert status.json()["error_type"] == "client_cancelled"


async def test_a_cancelled_job_may_finish_all_the_same(start, client, host, photo, encode):
    sandbox = await start(delays=Delays(queue=0, run=0.1))
    url = await host(sandbox, encode(photo))
    sandbox.faults.add(Stage.CANCEL, ignored())
    handle = (await submit(client, sandbox, image_url=url)).json()
    assert (await client.put(handle["cancel_url"], headers=KEY)).status_code == 202
    async with client.stream("GET", f"{handle['status_url']}/stream", headers=KEY) as stream:
        await stream.aread()  # it ends when the job does
    assert (await client.get(handle["response_url"], headers=KEY)).status_code == 200


async def test_sync_mode_and_inline_inputs(sandbox, client, photo, encode):
    inline = "data:image/png;base64," + base64.b64encode(encode(photo)).decode()
    handle = (await submit(client, sandbox, image_url=inline, sync_mode=True, output_format="png")).json()
    result = (await client.get(handle["response_url"], headers=KEY)).json()
    head, _, content = result["image"]["url"].partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(content).startswith(b"\x89PNG")
    assert inline not in str(sandbox.jobs[0].parameters)


async def test_an_unknown_state_word(sandbox, client, input_url):
    handle = (await submit(client, sandbox, image_url=input_url)).json()
    sandbox.faults.add(Stage.STATUS, state("PAUSED"))
    assert (await client.get(handle["status_url"], headers=KEY)).json()["status"] == "PAUSED"


async def history(client, sandbox, headers=KEY, **query):
    address = f"{sandbox.roots.fal_api}/models/requests/by-endpoint"
    return await client.get(address, headers=headers, params={"endpoint_id": IMAGE} | query)


async def test_the_list_of_requests(sandbox, client, input_url):
    made = [(await submit(client, sandbox, image_url=input_url, seed=seed)).json() for seed in (1, 2, 3)]
    await submit(client, sandbox, f"{IMAGE}/seamless", image_url=input_url)
    body = (await history(client, sandbox)).json()
    assert [item["request_id"] for item in body["items"]] == [job["request_id"] for job in made[::-1]]
    assert (body["has_more"], body["next_cursor"]) == (False, None)
    assert "json_input" not in body["items"][0]
    first = (await history(client, sandbox, expand="payloads", limit="2")).json()
    assert first["items"][0]["json_input"] == {"image_url": input_url, "seed": 3}
    assert first["has_more"]
    rest = (await history(client, sandbox, limit="2", cursor=first["next_cursor"])).json()
    assert [item["request_id"] for item in rest["items"]] == [made[0]["request_id"]]
    assert not rest["has_more"]


async def test_the_list_of_requests_of_another_time_is_empty(sandbox, client, input_url):
    await submit(client, sandbox, image_url=input_url)
    body = (await history(client, sandbox, start="2020-01-01", end="2020-01-02T00:00:00Z")).json()
    assert body["items"] == []


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "101"}, {"start": "yesterday"}, {"cursor": "?"}])
async def test_a_list_that_is_asked_for_wrongly_is_refused(sandbox, client, query):
    assert (await history(client, sandbox, **query)).status_code == 422


async def test_the_list_needs_a_key(sandbox, client):
    assert (await history(client, sandbox, headers={})).status_code == 401
