"""What a test can make go wrong on the wire: real sockets, real resets."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest
import remote_upscale
from faults import (
    Stage,
    error,
    garbage,
    hang,
    literal,
    lost_reply,
    no_output,
    oversized,
    redirect,
    reset,
    resized,
    slow,
    truncated,
    wrong_type,
)
from remote_upscale.api_clients.sandbox import Delays, State

KEY = {"Ocp-Apim-Subscription-Key": "key"}


@pytest.fixture
def submit(sandbox, client, input_url):
    async def send(**options):
        address = f"{sandbox.roots.pixazo}/upscaler/v1/upscale"
        return await client.post(address, headers=KEY, json={"image": input_url}, **options)

    return send


@pytest.fixture
def result_url(sandbox, client, submit):
    async def make():
        status = await client.get((await submit()).json()["polling_url"], headers=KEY)
        return status.json()["output"]["media_url"][0]

    return make


async def test_a_reset_leaves_no_job_but_a_lost_reply_does(sandbox, submit):
    sandbox.faults.add(Stage.SUBMIT, reset())
    with pytest.raises(httpx.TransportError):
        await submit()
    assert sandbox.jobs == []
    assert sandbox.requests[-1].body is None
    sandbox.faults.add(Stage.SUBMIT, lost_reply())
    with pytest.raises(httpx.TransportError):
        await submit()
    [job] = sandbox.jobs
    assert (job.state, job.charged) == (State.DONE, True)
    assert sandbox.requests[-1].status is None


@pytest.mark.parametrize(("accepted", "jobs"), [(False, 0), (True, 1)])
async def test_hanging_lasts_until_the_client_goes_away(sandbox, submit, accepted, jobs):
    sandbox.faults.add(Stage.SUBMIT, hang(accepted=accepted))
    with pytest.raises(httpx.ReadTimeout):
        await submit(timeout=0.3)
    assert len(sandbox.jobs) == jobs
    assert (await submit()).status_code == 202


async def test_a_hanging_client_does_not_keep_the_sandbox_from_stopping(start, client):
    sandbox = await start()
    sandbox.faults.add(Stage.SUBMIT, hang())
    hanging = asyncio.create_task(client.post(f"{sandbox.roots.pixazo}/upscaler/v1/upscale", timeout=60))
    while not sandbox.requests:  # noqa: ASYNC110 (nothing else tells that it came in)
        await asyncio.sleep(0)
    await sandbox.__aexit__(None, None, None)
    with pytest.raises(httpx.TransportError):
        await hanging


async def test_a_slow_body_arrives_whole_and_a_truncated_one_does_not(sandbox, client, result_url):
    url = await result_url()
    whole = (await client.get(url)).content
    sandbox.faults.add(Stage.DOWNLOAD, slow(0.1))
    assert (await client.get(url)).content == whole
    sandbox.faults.add(Stage.DOWNLOAD, truncated())
    received = bytearray()
    with pytest.raises(httpx.RemoteProtocolError):
        await download_into(client, url, received, announced=len(whole))
    assert received == whole[: len(whole) // 2]


async def download_into(client, url, received, *, announced):
    async with client.stream("GET", url) as stream:
        assert int(stream.headers["content-length"]) == announced
        async for piece in stream.aiter_bytes():
            received += piece


async def test_more_than_announced(sandbox, client, result_url):
    url = await result_url()
    whole = (await client.get(url)).content
    sandbox.faults.add(Stage.DOWNLOAD, oversized(1_000_000))
    reply = await client.get(url)
    assert reply.content == whole + bytes(1_000_000)
    assert "content-length" not in reply.headers


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_a_result_link_can_have_expired(sandbox, client, result_url, status):
    url = await result_url()
    sandbox.faults.add(Stage.DOWNLOAD, error(status), provider="pixazo", model="pixazo/crystal-image")
    reply = await client.get(url)
    assert (reply.status_code, reply.headers["content-type"]) == (status, "text/html")
    assert (await client.get(url)).status_code == 200


async def test_a_result_link_can_lead_elsewhere(sandbox, client, result_url):
    url = await result_url()
    sandbox.faults.add(Stage.DOWNLOAD, redirect("http://169.254.169.254/"))
    reply = await client.get(url)
    assert (reply.status_code, reply.headers["location"]) == (302, "http://169.254.169.254/")


async def test_a_result_that_does_not_decode_and_one_of_another_type(sandbox, client, result_url):
    url = await result_url()
    sandbox.faults.add(Stage.DOWNLOAD, garbage("binary"))
    sandbox.faults.add(Stage.DOWNLOAD, wrong_type("text/html"))
    broken, mistyped = await client.get(url), await client.get(url)
    assert broken.headers["content-type"] == "image/png"
    assert not broken.content.startswith(b"\x89PNG")
    assert mistyped.headers["content-type"] == "text/html"
    assert mistyped.content.startswith(b"\x89PNG")


async def test_a_result_of_half_the_size(sandbox, submit):
    sandbox.faults.add(Stage.RUN, resized(0.5))
    await submit()
    await submit()
    assert [job.result.size for job in sandbox.jobs] == [(60, 40), (120, 80)]


@pytest.mark.parametrize("kind", ["html", "binary", "cut_json", "nested", "huge", "empty"])
async def test_garbage_replies_to_an_accepted_submit(sandbox, submit, kind):
    sandbox.faults.add(Stage.SUBMIT, garbage(kind, size=300_000))
    reply = await submit()
    assert len(sandbox.jobs) == 1
    if kind == "huge":
        assert len(reply.json()["text"]) == 300_000
        return
    with pytest.raises((ValueError, RecursionError)):
        reply.json()


async def test_a_literal_reply(sandbox, submit):
    sandbox.faults.add(Stage.SUBMIT, literal('{"request_id": 7}', status=202))
    reply = await submit()
    assert (reply.status_code, reply.json()) == (202, {"request_id": 7})
    assert sandbox.jobs == []


async def test_the_hosted_input_can_be_out_of_reach(sandbox, client, submit):
    sandbox.faults.add(Stage.INPUT, error(404))
    status = (await client.get((await submit()).json()["polling_url"], headers=KEY)).json()
    assert (status["status"], status["error"]) == ("ERROR", "Failed to download the input file.")


async def test_skip_times_and_model_choose_the_request(sandbox, submit):
    sandbox.faults.add(Stage.SUBMIT, error(500), model="pixazo/topaz-video", times=None)
    sandbox.faults.add(Stage.SUBMIT, error(500), provider="fal", times=None)
    sandbox.faults.add(Stage.SUBMIT, error(429), skip=1, times=2)
    assert [(await submit()).status_code for _ in range(5)] == [202, 429, 429, 202, 202]


async def test_a_key_can_be_revoked(sandbox, submit):
    sandbox.faults.add(Stage.SUBMIT, error(401), times=None)
    assert [(await submit()).status_code for _ in range(3)] == [401, 401, 401]
    sandbox.faults.clear()
    assert (await submit()).status_code == 202


async def test_completed_without_a_link(sandbox, client, submit):
    polling = (await submit()).json()["polling_url"]
    sandbox.faults.add(Stage.STATUS, no_output())
    status = (await client.get(polling, headers=KEY)).json()
    assert (status["status"], "media_url" in status["output"]) == ("COMPLETED", False)


async def test_a_sandbox_can_be_looked_at_from_another_process(start, client, host, photo, encode):
    sandbox = await start(delays=Delays(queue=0, run=0))
    marked, base = {"X-Remote-Upscale-Sandbox": "1"}, f"{sandbox.url}/sandbox"
    url = await host(sandbox, encode(photo))
    address = f"{sandbox.roots.pixazo}/upscaler/v1/upscale"
    sandbox.faults.add(Stage.SUBMIT, error(429))
    replies = [await client.post(address, headers=KEY, json={"image": url}) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [429, 202]
    [job] = (await client.get(f"{base}/jobs", headers=marked)).json()
    assert job["request_id"] == replies[1].json()["request_id"]
    assert (job["model"], job["charged"], job["state"]) == ("pixazo/crystal-image", True, "done")
    seen = await client.get(f"{base}/requests", headers=marked)
    assert [entry["status"] for entry in seen.json()][-2:] == [429, 202]
    assert "key" not in [entry["headers"].get("ocp-apim-subscription-key") for entry in seen.json()]


async def test_looking_needs_the_header(sandbox, client):
    for path in ("jobs", "requests"):
        assert (await client.get(f"{sandbox.url}/sandbox/{path}")).status_code == 403


async def test_what_ships_has_no_faults():
    """Fault injection lives with the tests."""
    folder = Path(remote_upscale.__file__).parent / "api_clients" / "sandbox"
    words = " ".join(path.read_text("utf-8").lower() for path in folder.glob("*.py"))
    assert re.search(r"\bfaults\b|faults\.", words) is None
