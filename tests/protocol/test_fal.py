"""fal's queue: its requests, its states, and every error type of its documentation."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from remote_upscale.api_clients.errors import Kind, Meaning, NotFound, RemoteUpscaleError
from remote_upscale.api_clients.http_messages import Reply
from remote_upscale.api_clients.providers.base import Done, Failed, Handle, Queued, Running
from remote_upscale.api_clients.providers.fal import Fal
from remote_upscale.api_clients.registry import find_model
from remote_upscale.api_clients.roots import Roots
from remote_upscale.api_clients.urls import lies_under

ROOT = "https://queue.fal.run"
FAL = Fal(Roots())
IMAGE = find_model("fal/seedvr2-image")
SEAMLESS = find_model("fal/seedvr2-seamless")
BASE = f"{ROOT}/fal-ai/seedvr/requests/abc-1"
HANDLE = Handle("fal", IMAGE.id, "abc-1", f"{BASE}/status", BASE, f"{BASE}/cancel")
INPUT = "https://storage.googleapis.com/falserverless/example_inputs/seedvr2/image_in.png"


def reply(body, status=200, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, headers, content)


REQUESTS = {
    # target_resolution has no meaning beside the factor mode; we send what takes effect.
    "image, the page's example": (
        IMAGE,
        {
            "upscale_mode": "factor",
            "upscale_factor": 2,
            "target_resolution": "1080p",
            "noise_scale": 0.1,
            "output_format": "jpg",
            "sync_mode": False,
        },
        "/fal-ai/seedvr/upscale/image",
        '{"image_url":"%s","upscale_mode":"factor","upscale_factor":2,"noise_scale":0.1,'
        '"output_format":"jpg","sync_mode":false}',
    ),
    "image, defaults are the page's": (
        IMAGE,
        {},
        "/fal-ai/seedvr/upscale/image",
        '{"image_url":"%s","upscale_mode":"factor","upscale_factor":2,"noise_scale":0.1,'
        '"output_format":"jpg","sync_mode":false}',
    ),
    "image by target, everything set": (
        IMAGE,
        {
            "upscale_mode": "target",
            "target_resolution": "1440p",
            "seed": 42,
            "noise_scale": 0.125,
            "output_format": "webp",
            "sync_mode": True,
        },
        "/fal-ai/seedvr/upscale/image",
        '{"image_url":"%s","upscale_mode":"target","target_resolution":"1440p","seed":42,'
        '"noise_scale":0.125,"output_format":"webp","sync_mode":true}',
    ),
    "seamless, the page's example with a seed": (
        SEAMLESS,
        {"upscale_factor": 2, "seed": 1, "enable_safety_checker": True, "output_format": "png"},
        "/fal-ai/seedvr/upscale/image/seamless",
        '{"image_url":"%s","upscale_mode":"factor","upscale_factor":2,"seed":1,"noise_scale":0.1,'
        '"enable_safety_checker":true,"output_format":"png","sync_mode":false}',
    ),
    "seamless says jpeg": (
        SEAMLESS,
        {"output_format": "jpeg", "upscale_factor": 10, "enable_safety_checker": False},
        "/fal-ai/seedvr/upscale/image/seamless",
        '{"image_url":"%s","upscale_mode":"factor","upscale_factor":10,"noise_scale":0.1,'
        '"enable_safety_checker":false,"output_format":"jpeg","sync_mode":false}',
    ),
}


@pytest.mark.parametrize(("model", "given", "path", "body"), REQUESTS.values(), ids=REQUESTS)
def test_submit_has_the_exact_bytes_of_the_page(model, given, path, body):
    request = FAL.submit(model, model.check(given).values, INPUT)
    assert (request.method, request.url) == ("POST", ROOT + path)
    assert request.body == (body % INPUT).encode()
    assert request.headers == {"Content-Type": "application/json", "x-fal-disable-fallbacks": "1"}
    assert FAL.authorise("a:b") == {"Authorization": "Key a:b"}


def accepted(**changes):
    urls = {"response_url": BASE, "status_url": f"{BASE}/status", "cancel_url": f"{BASE}/cancel"}
    return reply({"request_id": "abc-1", "queue_position": 3, **urls, **changes})


def test_read_submit_uses_the_returned_urls():
    other = f"{ROOT}/fal-ai/seedvr-two/requests/abc-1/status"
    got = FAL.read_submit(IMAGE, accepted(status_url=other))
    assert got.handle.status_url == other
    assert got.state == Queued(3)
    assert FAL.read_submit(IMAGE, accepted()).handle == HANDLE


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/fal-ai/seedvr/requests/abc-1/status",
        "http://queue.fal.run/fal-ai/x",
        "https://queue.fal.run.evil.example/x",
        "https://user@queue.fal.run/x",
        "https://queue.fal.run:444/x",
        "https://queue.fal.run\\@evil.example/x",
        None,
        7,
    ],
)
def test_urls_outside_the_queue_root_are_rebuilt(url):
    got = FAL.read_submit(IMAGE, accepted(status_url=url, response_url=url, cancel_url=url))
    assert got.handle == HANDLE


def test_a_handle_is_rebuilt_from_an_id():
    assert FAL.handle(SEAMLESS, "abc-1").status_url == f"{BASE}/status"
    assert FAL.result(HANDLE).url == BASE
    cancel = FAL.cancel(HANDLE)
    assert (cancel.method, cancel.url) == ("PUT", f"{BASE}/cancel")


STATES = {
    "queued": (202, {"status": "IN_QUEUE", "queue_position": 0}, Queued(0)),
    "queued, no place": (202, {"status": "IN_QUEUE"}, Queued()),
    "running": (202, {"status": "IN_PROGRESS", "logs": [{"message": "step 1"}]}, Running()),
    "completed": (200, {"status": "COMPLETED", "metrics": {"inference_time": 3.7}}, Done(None)),
    "unknown word": (202, {"status": "THAWING"}, Running(note="THAWING")),
}


@pytest.mark.parametrize(("status", "body", "state"), STATES.values(), ids=STATES)
def test_read_status(status, body, state):
    assert FAL.read_status(reply(body, status)) == state


def test_result():
    link = "https://storage.googleapis.com/falserverless/example_outputs/seedvr2/image_out.png"
    state = FAL.read_result(reply({"image": {"content_type": "image/png", "url": link}, "seed": 1}))
    assert isinstance(state, Done)
    assert (state.output.url, state.output.media_type) == (link, "image/png")


def test_result_before_completion():
    assert FAL.read_result(reply({"detail": "Request is still in progress"}, 400)) == Running()


ERROR_TYPES = {
    "content_policy_violation": Kind.CONTENT_REJECTED,
    "image_too_small": Kind.INVALID_INPUT,
    "image_too_large": Kind.INVALID_INPUT,
    "image_load_error": Kind.INVALID_INPUT,
    "file_too_large": Kind.INVALID_INPUT,
    "file_download_error": Kind.HOSTING,
    "one_of": Kind.INVALID_PARAMETER,
    "greater_than_equal": Kind.INVALID_PARAMETER,
    "less_than_equal": Kind.INVALID_PARAMETER,
    "generation_timeout": Kind.TIMEOUT,
    "request_timeout": Kind.TIMEOUT,
    "startup_timeout": Kind.TIMEOUT,
    "client_cancelled": Kind.CANCELLED,
    "downstream_service_error": Kind.PROVIDER_UNAVAILABLE,
    "downstream_service_unavailable": Kind.PROVIDER_UNAVAILABLE,
    "internal_server_error": Kind.PROVIDER_UNAVAILABLE,
    "runner_disconnected": Kind.PROVIDER_UNAVAILABLE,
    "runner_scheduling_failure": Kind.PROVIDER_UNAVAILABLE,
    "brand_new_type": Kind.PROVIDER_FAILED,
}


def detail(kind):
    return {
        "loc": ["body", "upscale_factor"],
        "msg": "In fal's own words",
        "type": kind,
        "url": f"https://docs.fal.ai/errors#{kind}",
        "ctx": {},
        "input": "https://host.example/secret?X-Amz-Signature=deadbeef",
    }


@pytest.mark.parametrize(("kind", "ours"), ERROR_TYPES.items())
def test_error_types_in_a_result(kind, ours):
    state = FAL.read_result(reply({"detail": [detail(kind)]}, 422))
    assert isinstance(state, Failed)
    assert state.error.kind == ours
    assert "In fal's own words" in state.error.message
    assert state.error.hint
    assert "deadbeef" not in str(state.error)


@pytest.mark.parametrize(("kind", "ours"), ERROR_TYPES.items())
def test_error_types_in_a_completed_status(kind, ours):
    state = FAL.read_status(reply({"status": "COMPLETED", "error": "In words", "error_type": kind}))
    assert isinstance(state, Failed)
    assert state.error.kind == ours


def test_completed_with_an_error_and_no_type():
    state = FAL.read_status(reply({"status": "COMPLETED", "request_id": "abc-1", "error": "It broke"}))
    assert state.error.kind == Kind.PROVIDER_FAILED
    assert "It broke" in state.error.message


def test_fal_says_whether_trying_again_helps():
    body = {"detail": [detail("downstream_service_error")]}
    assert "will not help" in FAL.read_result(reply(body, 500, **{"x-fal-retryable": "false"})).error.hint
    assert "again later" in FAL.read_result(reply(body, 500, **{"x-fal-retryable": "true"})).error.hint


SUBMIT_ERRORS = {
    "validation": (422, {"detail": [detail("less_than_equal")]}, Kind.INVALID_PARAMETER),
    "unknown validation": (422, {"detail": [detail("brand_new_type")]}, Kind.INVALID_PARAMETER),
    "bad key": (401, {"detail": "Authentication is required"}, Kind.AUTHENTICATION),
    "empty balance": (
        403,
        {"detail": "User is locked. Reason: Exhausted balance. Top up at fal.ai/dashboard/billing."},
        Kind.INSUFFICIENT_BALANCE,
    ),
    "forbidden": (403, {"detail": "No access to this app"}, Kind.FORBIDDEN),
    "not found": (404, {"detail": "Application not found"}, Kind.NOT_FOUND),
    "too many": (429, {"detail": "Too many requests"}, Kind.RATE_LIMITED),
    "infrastructure": (503, {"detail": "No runner", "error_type": "runner_scheduling_failure"}, None),
    "its own 504": (504, {"detail": "Timed out", "error_type": "request_timeout"}, Kind.TIMEOUT),
    "a gateway's 504": (504, b"<html>", Kind.SUBMISSION_UNKNOWN),
    "a gateway's 502": (502, b"", Kind.SUBMISSION_UNKNOWN),
    "accepted without an id": (200, {"status": "IN_QUEUE"}, Kind.SUBMISSION_UNKNOWN),
}


@pytest.mark.parametrize(("status", "body", "kind"), SUBMIT_ERRORS.values(), ids=SUBMIT_ERRORS)
def test_refused_submit(status, body, kind):
    with pytest.raises(RemoteUpscaleError) as caught:
        FAL.read_submit(IMAGE, reply(body, status))
    assert caught.value.kind == (kind or Kind.PROVIDER_UNAVAILABLE)
    assert "deadbeef" not in str(caught.value)


def test_a_result_that_cannot_be_read_now_is_no_failed_job():
    with pytest.raises(RemoteUpscaleError) as caught:
        FAL.read_result(reply(b"<html>", 502))
    assert caught.value.meaning.retryable


def test_cancel_replies():
    assert FAL.read_cancel(reply({"status": "CANCELLATION_REQUESTED"}, 202))
    assert FAL.read_cancel(reply({}, 200))
    assert not FAL.read_cancel(reply({"status": "ALREADY_COMPLETED"}, 400))
    assert not FAL.read_cancel(reply({"status": "NOT_FOUND"}, 404))


HISTORY = {
    "items": [
        {
            "request_id": "r-1",
            "json_input": {"image_url": INPUT, "seed": 7, "upscale_factor": 2.0, "more": None},
        },
        {"request_id": "r-2", "json_input": {"image_url": INPUT, "seed": 8, "upscale_factor": 2}},
        {
            "request_id": "r-3",
            "json_input": {"image_url": "https://x.test/y", "seed": 7, "upscale_factor": 2},
        },
        {"request_id": "r-4", "json_input": {"image_url": INPUT, "upscale_factor": 2}},
        {"request_id": "../r-5", "json_input": {"image_url": INPUT, "seed": 7, "upscale_factor": 2}},
        {"request_id": "r-6"},
        {
            "request_id": "r-7",
            "json_input": {"image_url": INPUT, "seed": 7, "upscale_factor": 2, "sync_mode": True},
        },
        "nonsense",
    ],
    "next_cursor": "Mg==",
    "has_more": True,
}


def test_the_request_for_earlier_requests():
    since = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    request = FAL.find(SEAMLESS, since, since + timedelta(hours=1), "Mg==")
    assert request.method == "GET"
    assert request.url == (
        "https://api.fal.ai/v1/models/requests/by-endpoint?endpoint_id=fal-ai%2Fseedvr%2Fupscale%2Fimage%2Fseamless"
        "&start=2026-01-02T03%3A04%3A05Z&end=2026-01-02T04%3A04%3A05Z&expand=payloads&limit=100&cursor=Mg%3D%3D"
    )
    assert lies_under(FAL.history_root, request.url)


def test_earlier_requests_are_told_apart_by_what_was_sent():
    sent = {"seed": 7, "upscale_factor": 2}
    found = FAL.read_found(IMAGE, reply(HISTORY), sent, lambda link: link == INPUT)
    assert [handle.request_id for handle in found.handles] == ["r-1", "r-7"]
    assert found.handles[0] == FAL.handle(IMAGE, "r-1")
    assert found.next_page == "Mg=="


@pytest.mark.parametrize("body", [{}, {"items": None}, {"items": [], "has_more": False, "next_cursor": "x"}])
def test_an_empty_history(body):
    found = FAL.read_found(IMAGE, reply(body), {}, lambda _link: True)
    assert (found.handles, found.next_page) == ((), None)


@pytest.mark.parametrize(("status", "kind"), [(401, Kind.AUTHENTICATION), (403, Kind.FORBIDDEN)])
def test_a_history_that_is_refused(status, kind):
    with pytest.raises(RemoteUpscaleError) as caught:
        FAL.read_found(IMAGE, reply({"detail": "No."}, status), {}, lambda _link: True)
    assert caught.value.kind == kind


def test_fallbacks_are_let_by_an_option():
    request = Fal(Roots(), {"allow_fallbacks": True}).submit(IMAGE, IMAGE.check({}).values, INPUT)
    assert request.headers == {"Content-Type": "application/json"}


SERVED = {
    "as ordered": ({"response_url": BASE, "status_url": f"{BASE}/status"}, {}, False),
    "its links lead to another app": ({"response_url": BASE.replace("seedvr", "other-upscaler")}, {}, True),
    "a header names another endpoint": ({}, {"x-fal-endpoint-id": "fal-ai/other-upscaler/image"}, True),
    "a header names the endpoint": ({}, {"x-fal-endpoint-id": "fal-ai/seedvr/upscale/image"}, False),
    "a header that names none": ({}, {"x-fal-endpoint-version": "17"}, False),
    "links that are none": (
        {"response_url": "https://[", "status_url": 7, "cancel_url": "/a/requests"},
        {},
        False,
    ),
}


@pytest.mark.parametrize(("body", "headers", "told"), SERVED.values(), ids=SERVED)
def test_a_fallback_that_served_is_told(body, headers, told):
    notes = FAL.notes(HANDLE, reply({"status": "COMPLETED", **body}, **headers))
    assert bool(notes) is told
    assert all("fal-ai/other-upscaler" in note for note in notes)


def test_a_key_for_a_gateway_is_not_taken_to_fals_own_addresses():
    since = datetime(2026, 1, 2, tzinfo=UTC)
    gateway = Fal(Roots(fal_queue="https://gateway.example/fal"))
    assert (gateway.history_root, gateway.rest_root) == (None, None)
    assert gateway.find(IMAGE, since, since) is None
    told = Fal(
        Roots(
            fal_queue="https://gateway.example/fal",
            fal_api="https://gateway.example/api",
            fal_rest="https://gateway.example/rest",
        )
    )
    assert (told.history_root, told.rest_root) == (
        "https://gateway.example/api",
        "https://gateway.example/rest",
    )
    assert told.find(IMAGE, since, since).url.startswith("https://gateway.example/api/models/")
    own = Fal(Roots(fal_queue="https://queue.fal.run"))
    assert (own.history_root, own.rest_root) == ("https://api.fal.ai/v1", "https://rest.fal.ai")


def test_its_own_404_is_believed():
    for read in (FAL.read_status, FAL.read_result):
        with pytest.raises(NotFound) as caught:
            read(reply({"detail": "Request not found"}, 404))
        assert caught.value.message.endswith(": Request not found.")
        assert "remote-upscale models" not in caught.value.hint  # the job is unknown, not the model


FOREIGN = {
    "a proxy's page": (b"<html>Not Found</html>", 404),
    "an empty 404": (b"", 404),
    "a web framework's 404": ({"detail": "Not Found"}, 404),
    "another web framework's 404": ({"detail": "Not found.", "code": "not_found"}, 404),
    "a message": ({"message": "no Route matched with those values"}, 404),
    "details that are none": ({"detail": [{}, 7]}, 404),
    "details without words": ({"detail": [{"type": "missing"}]}, 422),
    "a sign-in page's 401": (b"<html>Please sign in</html>", 401),
    "a framework's 401": ({"detail": "Not authenticated"}, 401),
    "a company's 403": (b"<html>Blocked</html>", 403),
    "a gateway's 502": (b"<html>", 502),
}


@pytest.mark.parametrize(("body", "status"), FOREIGN.values(), ids=FOREIGN)
def test_what_others_answer_says_nothing_about_a_job(body, status):
    for read in (
        FAL.read_status,
        FAL.read_result,
        lambda got: FAL.read_found(IMAGE, got, {}, lambda _link: True),
    ):
        with pytest.raises(RemoteUpscaleError) as caught:
            read(reply(body, status))
        assert caught.value.meaning == Meaning.UNKNOWN
        assert caught.value.kind in (Kind.BAD_RESPONSE, Kind.PROVIDER_UNAVAILABLE)


def test_an_error_that_names_no_job_ends_none():
    with pytest.raises(RemoteUpscaleError) as caught:
        FAL.read_status(reply({"status": "COMPLETED", "error": "upstream"}))
    assert caught.value.meaning == Meaning.UNKNOWN


def test_a_failed_job_is_over():
    state = FAL.read_result(reply({"detail": [detail("internal_server_error")]}, 500))
    assert state.error.meaning == Meaning.OVER
