"""The server itself: where it listens, how it ends, that it keeps answering, and models that it never saw."""

import asyncio
import io
import socket
from dataclasses import replace
from decimal import Decimal

import httpx
import pytest
from faults import Stage, hang
from faulty_sandbox import FaultySandbox
from PIL import Image
from remote_upscale.api_clients.models import Limits, Media, Model
from remote_upscale.api_clients.parameters import Choice, Integer
from remote_upscale.api_clients.prices import PerJob
from remote_upscale.api_clients.registry import MODELS
from remote_upscale.api_clients.sandbox import Delays, Sandbox, State, exchange, jobs, serve
from remote_upscale.api_clients.sizes import ByTier

PIXAZO = {"Ocp-Apim-Subscription-Key": "key"}
APIXO = {"Authorization": "Bearer key"}
FAL = {"Authorization": "Key key"}

INVENTED = Model(
    id="fal/invented",
    node_id="Invented",
    title="Invented",
    summary="An upscaler that does not exist.",
    endpoint="/some-owner/some-app/enlarge/now",
    media=Media.IMAGE,
    media_field="picture",
    parameters=(
        Choice(name="tier", help="How large.", choices=("small", "large"), default="small"),
        Integer(name="strength", help="How much.", minimum=1, maximum=9, required=True),
    ),
    limits=Limits(formats=("png",), max_bytes=100_000),
    sizing=ByTier({"small": 90, "large": 300}, "tier"),
    price=PerJob(Decimal("0.5"), source="nowhere"),
    first_poll=1,
    result_format="webp",
)


async def test_an_invented_model_is_served_by_its_declaration(start, client, host, photo, encode):
    sandbox = await start(INVENTED)
    address = f"{sandbox.roots.fal_queue}/some-owner/some-app/enlarge/now"
    url = await host(sandbox, encode(photo))
    refused = await client.post(address, headers=FAL, json={"picture": url, "tier": "huge"})
    assert [(item["loc"][1], item["type"]) for item in refused.json()["detail"]] == [
        ("tier", "one_of"),
        ("strength", "missing"),
    ]
    accepted = await client.post(address, headers=FAL, json={"picture": url, "strength": 3, "tier": "large"})
    assert "/some-owner/some-app/requests/" in accepted.json()["response_url"]
    result = (await client.get(accepted.json()["response_url"], headers=FAL)).json()["image"]
    assert (result["content_type"], result["width"], result["height"]) == ("image/webp", 300, 200)
    jpeg = await host(sandbox, encode(photo, "JPEG"), "image/jpeg")
    refused = await client.post(address, headers=FAL, json={"picture": jpeg, "strength": 3})
    result = await client.get(refused.json()["response_url"], headers=FAL)
    assert result.json()["detail"][0]["type"] == "image_load_error"


@pytest.mark.parametrize("provider", ["pixazo", "apixo"])
async def test_invented_models_of_the_other_providers(start, client, host, photo, encode, provider):
    endpoint = {"pixazo": "/enlarger/v9/go", "apixo": "/generateTask/enlarger"}[provider]
    sandbox = await start(replace(INVENTED, id=f"{provider}/enlarger", endpoint=endpoint))
    url = await host(sandbox, encode(photo))
    root, headers = getattr(sandbox.roots, provider), PIXAZO if provider == "pixazo" else APIXO
    body = {"picture": url, "strength": 2}
    await client.post(
        root + endpoint,
        headers=headers,
        json=body if provider == "pixazo" else {"input": {"picture": [url], "strength": 2}},
    )
    [job] = sandbox.jobs
    assert (job.state, job.result.size, dict(job.values)) == (
        State.DONE,
        (90, 60),
        {"tier": "small", "strength": 2},
    )


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
async def test_every_model_runs(sandbox, client, host, photo, encode, make_clip, tmp_path, model):
    if model.media is Media.VIDEO:
        url = await host(sandbox, make_clip(tmp_path / "a.mp4").read_bytes(), "video/mp4")
    else:
        url = await host(sandbox, encode(photo))
    body = {model.media_field: url}
    roots = sandbox.roots
    root, headers, body = {
        "pixazo": (roots.pixazo, PIXAZO, body),
        "apixo": (roots.apixo, APIXO, {"input": {model.media_field: [url]}}),
        "fal": (roots.fal_queue, FAL, body),
    }[model.provider]
    reply = await client.post(root + model.endpoint, headers=headers, json=body)
    assert reply.status_code in (200, 202)
    [job] = sandbox.jobs
    assert (job.model, job.state) == (model, State.DONE)
    assert job.result.path.stat().st_size == job.result.length


async def test_every_reply_says_that_it_is_the_sandbox(sandbox, client, input_url):
    replies = [
        await client.get(input_url),
        await client.get(sandbox.url),
        await client.get(f"{sandbox.url}/sandbox/jobs"),
        await client.post(f"{sandbox.roots.pixazo}/upscaler/v1/upscale", json={}),
    ]
    assert [reply.status_code for reply in replies] == [200, 404, 403, 401]
    assert {reply.headers["x-remote-upscale-sandbox"] for reply in replies} == {"1"}


async def test_it_answers_to_loopback_names_only(sandbox, client):
    reply = await client.get(sandbox.url, headers={"Host": "attacker.example"})
    assert reply.status_code == 421
    with pytest.raises(ValueError, match="loopback"):
        Sandbox([], host="0.0.0.0")


async def test_requests_are_recorded_as_they_came(sandbox, client, input_url):
    address = f"{sandbox.roots.fal_queue}/fal-ai/seedvr/upscale/image?fal_webhook=x"
    content = b'{"image_url":"' + input_url.encode() + b'"}'
    await client.post(address, headers=FAL, content=content)
    recorded = sandbox.requests[-1]
    assert (recorded.method, recorded.path) == (
        "POST",
        "/fal/queue/fal-ai/seedvr/upscale/image?fal_webhook=x",
    )
    assert (recorded.body, recorded.length, recorded.status) == (content, len(content), 200)
    assert recorded.headers["authorization"] == "Key key"
    assert "Key key" not in repr(recorded)


async def test_everything_is_gone_at_the_end(tmp_path, client, host, photo, encode):
    async with Sandbox(MODELS.values(), delays=Delays(queue=0, run=0), folder=tmp_path) as sandbox:
        url = await host(sandbox, encode(photo))
        await client.post(f"{sandbox.roots.pixazo}/upscaler/v1/upscale", headers=PIXAZO, json={"image": url})
        assert [job.state for job in sandbox.jobs] == [State.DONE]
        assert [path for path in tmp_path.rglob("*") if path.suffix == ".input"] == []
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(httpx.ConnectError):
        await client.get(sandbox.url)


async def test_it_ends_while_jobs_are_running(tmp_path, client, host, photo, encode):
    async with FaultySandbox(MODELS.values(), folder=tmp_path) as sandbox:
        sandbox.faults.add(Stage.INPUT, hang())
        url = await host(sandbox, encode(photo))
        await client.post(f"{sandbox.roots.pixazo}/upscaler/v1/upscale", headers=PIXAZO, json={"image": url})
        [job] = sandbox.jobs
    assert job.state is State.CANCELLED
    assert list(tmp_path.iterdir()) == []


async def test_a_taken_port_leaves_nothing_behind(sandbox, tmp_path):
    port = int(sandbox.url.rpartition(":")[2])
    with pytest.raises(OSError, match=r"."):
        await Sandbox([], port=port, folder=tmp_path).__aenter__()
    assert list(tmp_path.iterdir()) == []


async def test_it_listens_on_ipv6_too(client):
    async with Sandbox([], host="::1") as sandbox:
        assert sandbox.url.startswith("http://[::1]:")
        assert (await client.get(sandbox.url)).status_code == 404


async def test_serve_runs_until_cancelled(client):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ready = asyncio.Queue()
    task = asyncio.create_task(serve(MODELS.values(), port=port, ready=ready.put_nowait))
    sandbox = await ready.get()
    assert sandbox.url == f"http://127.0.0.1:{port}"
    assert (await client.get(sandbox.url)).status_code == 404
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_fifty_jobs_at_once_all_end_well(start, client, host, encode):
    sandbox = await start(delays=Delays(queue=0.01, run=0.01))
    url = await host(sandbox, encode(Image.effect_noise((200, 150), 60).convert("RGB")))
    address = f"{sandbox.roots.fal_queue}/fal-ai/seedvr/upscale/image"

    async def run():
        handle = (await client.post(address, headers=FAL, json={"image_url": url})).json()
        async with client.stream("GET", f"{handle['status_url']}/stream", headers=FAL) as stream:
            await stream.aread()
        image = (await client.get(handle["response_url"], headers=FAL)).json()["image"]
        return Image.open(io.BytesIO((await client.get(image["url"])).content)).size

    assert await asyncio.gather(*(run() for _ in range(50))) == [(400, 300)] * 50
    assert len({job.request_id for job in sandbox.jobs}) == 50


async def test_the_oldest_jobs_and_requests_make_room(
    monkeypatch, start, client, host, photo, encode, tmp_path
):
    monkeypatch.setattr(jobs, "MOST_JOBS", 3)
    monkeypatch.setattr(exchange, "MOST_RECORDED", 4)
    sandbox = await start(folder=tmp_path)
    url = await host(sandbox, encode(photo))
    ids = []
    for _ in range(6):
        reply = await client.post(
            f"{sandbox.roots.pixazo}/upscaler/v1/upscale", headers=PIXAZO, json={"image": url}
        )
        ids.append(reply.json()["request_id"])
    assert [job.request_id for job in sandbox.jobs] == ids[-3:]
    assert {path.parent.name for path in tmp_path.rglob("output.*")} == set(ids[-3:])
    assert len(sandbox.requests) == 4
