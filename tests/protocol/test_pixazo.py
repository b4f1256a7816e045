"""Pixazo's gateway: every request, reply and error of its pages, and what other clients have seen."""

import json

import pytest
from remote_upscale.api_clients.errors import (
    AuthenticationFailed,
    Kind,
    Meaning,
    NotFound,
    RemoteUpscaleError,
    SubmissionUnknown,
)
from remote_upscale.api_clients.http_messages import Reply
from remote_upscale.api_clients.providers.base import Done, Failed, Handle, Queued, Running, Submitted
from remote_upscale.api_clients.providers.pixazo import Pixazo
from remote_upscale.api_clients.registry import find_model
from remote_upscale.api_clients.roots import Roots

ROOT = "https://gateway.pixazo.ai"
PIXAZO = Pixazo(Roots())
IMAGE = find_model("pixazo/seedvr2-3b-image")
ID = "seedvr-upscale_019dxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
STATUS_URL = f"{ROOT}/v2/requests/status/{ID}"
LINK = "https://pub-582b7213209642b9b995c96c95a30381.r2.dev/v1/seedvr-upscale_019dxxxx-xxxx/output.png"
HANDLE = Handle("pixazo", IMAGE.id, ID, STATUS_URL)


def reply(body, status=200, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, headers, content)


REQUESTS = {
    "3B image, the page's example with the mode said": (
        "pixazo/seedvr2-3b-image",
        {"upscale_factor": 2, "output_format": "png"},
        "/seedvr-upscale/v1/upscale-image/generate",
        b'{"image_url":"https://host.example/vt_human.jpg","upscale_mode":"factor","upscale_factor":2,'
        b'"output_format":"png"}',
    ),
    "3B image, every optional parameter by factor": (
        "pixazo/seedvr2-3b-image",
        {
            "upscale_mode": "factor",
            "upscale_factor": 3.5,
            "noise_scale": 0.05,
            "output_format": "webp",
            "seed": 7,
            "sync_mode": True,
            "webhook": "https://your-server.com/webhook/callback",
            "webhook_events_filter": ["completed"],
        },
        "/seedvr-upscale/v1/upscale-image/generate",
        b'{"image_url":"https://host.example/vt_human.jpg","upscale_mode":"factor","upscale_factor":3.5,'
        b'"noise_scale":0.05,"output_format":"webp","seed":7,"sync_mode":true,'
        b'"webhook":"https://your-server.com/webhook/callback","webhook_events_filter":["completed"]}',
    ),
    "3B image by target": (
        "pixazo/seedvr2-3b-image",
        {"upscale_mode": "target", "target_resolution": "2160p", "output_format": "jpg"},
        "/seedvr-upscale/v1/upscale-image/generate",
        b'{"image_url":"https://host.example/vt_human.jpg","upscale_mode":"target",'
        b'"target_resolution":"2160p","output_format":"jpg"}',
    ),
    "3B video, every optional parameter": (
        "pixazo/seedvr2-3b-video",
        {
            "upscale_mode": "target",
            "target_resolution": "1080p",
            "noise_scale": 0.1,
            "output_format": "H265 (.mp4)",
            "output_quality": "medium",
            "output_write_mode": "quality",
            "seed": 1,
            "webhook": "https://your-server.com/webhook/callback",
            "webhook_events_filter": ["start", "output", "completed"],
        },
        "/seedvr-upscale/v1/upscale-video/generate",
        b'{"video_url":"https://host.example/vt_human.jpg","upscale_mode":"target",'
        b'"target_resolution":"1080p","noise_scale":0.1,"output_format":"H265 (.mp4)",'
        b'"output_quality":"medium","output_write_mode":"quality","seed":1,'
        b'"webhook":"https://your-server.com/webhook/callback",'
        b'"webhook_events_filter":["start","output","completed"]}',
    ),
    "7B image, the page's full example": (
        "pixazo/seedvr2-7b-image",
        {
            "upscale_factor": 4.0,
            "res_h": 2048,
            "res_w": 2048,
            "output_format": "webp",
            "noise_scale": 0.0,
            "seed": 12345,
            "job_id": "shot-12",
        },
        "/seedvr2-7b-upscale/image-request",
        b'{"image_url":"https://host.example/vt_human.jpg","upscale_factor":4.0,"res_h":2048,"res_w":2048,'
        b'"output_format":"webp","noise_scale":0.0,"seed":12345,"job_id":"shot-12"}',
    ),
    "7B image, pixels override the default factor": (
        "pixazo/seedvr2-7b-image",
        {"res_h": 1024, "res_w": 768},
        "/seedvr2-7b-upscale/image-request",
        b'{"image_url":"https://host.example/vt_human.jpg","res_h":1024,"res_w":768,'
        b'"output_format":"png","noise_scale":0.0}',
    ),
    "Topaz": (
        "pixazo/topaz-video",
        {"upscale_factor": 4},
        "/topaz-upscale-video-753/v1/topaz-upscale-video-request",
        b'{"video_url":"https://host.example/vt_human.jpg","upscale_factor":4}',
    ),
    "Crystal": (
        "pixazo/crystal-image",
        {"scale_factor": 4, "webhook": "https://a.example/b", "webhook_events_filter": ["*"]},
        "/upscaler/v1/upscale",
        b'{"image":"https://host.example/vt_human.jpg","scale_factor":4,"webhook":"https://a.example/b",'
        b'"webhook_events_filter":["*"]}',
    ),
}


@pytest.mark.parametrize(("model_id", "given", "path", "body"), REQUESTS.values(), ids=REQUESTS)
def test_submit_has_the_exact_bytes_of_the_page(model_id, given, path, body):
    model = find_model(model_id)
    request = PIXAZO.submit(model, model.check(given).values, "https://host.example/vt_human.jpg")
    assert (request.method, request.url, request.body) == ("POST", ROOT + path, body)
    assert request.headers == {"Content-Type": "application/json", "Cache-Control": "no-cache"}


def test_key_header():
    assert PIXAZO.authorise("k") == {"Ocp-Apim-Subscription-Key": "k"}


def test_status_request():
    request = PIXAZO.status(HANDLE)
    assert (request.method, request.url, request.body) == ("GET", STATUS_URL, b"")
    assert PIXAZO.result(HANDLE) == request
    assert PIXAZO.cancel(HANDLE) is None
    assert not PIXAZO.cancels


COMPLETED = {
    "request_id": ID,
    "status": "COMPLETED",
    "model_id": "seedvr-upscale",
    "error": None,
    "output": {"media_url": [LINK], "media_type": "application/octet-stream"},
    "created_at": "2026-03-31T10:00:00.000Z",
    "updated_at": "2026-05-22 13:19:23",
    "completed_at": "2026-03-31T10:00:15.000Z",
}

SUBMITTED = {
    "the page's reply": ({"request_id": ID, "status": "QUEUED", "polling_url": STATUS_URL}, HANDLE, Queued()),
    "a polling_url elsewhere is not followed": (
        {"request_id": ID, "status": "QUEUED", "polling_url": "https://evil.example/steal"},
        HANDLE,
        Queued(),
    ),
    "no status word": ({"request_id": ID}, HANDLE, Queued()),
    "finished at once": (COMPLETED, HANDLE, LINK),
    "finished at once, bare": ({"output": [{"url": LINK}]}, None, LINK),
    "finished at once, bare, with an id": ({"request_id": ID, "output": [{"url": LINK}]}, HANDLE, LINK),
    "an id that is not the model's": (
        {"request_id": "upscaler_1", "status": "PROCESSING"},
        Handle("pixazo", IMAGE.id, "upscaler_1", f"{ROOT}/v2/requests/status/upscaler_1"),
        Running(),
    ),
}


@pytest.mark.parametrize(("body", "handle", "state"), SUBMITTED.values(), ids=SUBMITTED)
def test_read_submit(body, handle, state):
    got = PIXAZO.read_submit(IMAGE, reply(body, 202))
    assert got.handle == handle
    if isinstance(state, str):
        assert isinstance(got.state, Done)
        assert got.state.output.url == state
    else:
        assert got == Submitted(handle, state)


STATES = {
    "queued": ({"request_id": ID, "status": "QUEUED"}, Queued()),
    "processing": ({"request_id": ID, "status": "PROCESSING"}, Running()),
    "lower case": ({"status": "processing"}, Running()),
    "unknown word": ({"status": "WARMING_UP"}, Running(note="WARMING_UP")),
    "no word": ({}, Running(note="no status")),
}


@pytest.mark.parametrize(("body", "state"), STATES.values(), ids=STATES)
def test_read_status(body, state):
    assert PIXAZO.read_status(reply(body)) == state


LINKS = {
    "list": {"media_url": [LINK], "media_type": "image/png"},
    "string": {"media_url": LINK, "media_type": "image/png"},
    "list of objects": [{"url": LINK}],
    "object with a url": {"url": LINK},
    "several: the first": {"media_url": [LINK, "https://other.example/x.png"]},
    "inline, by sync_mode": {"media_url": ["data:image/png;base64,AAAA"]},
}


@pytest.mark.parametrize("output", LINKS.values(), ids=LINKS)
def test_result_links(output):
    state = PIXAZO.read_status(reply({"status": "COMPLETED", "output": output}))
    assert isinstance(state, Done)
    assert state.output.url in (LINK, "data:image/png;base64,AAAA")


def test_completed_without_a_link_is_asked_again():
    with pytest.raises(RemoteUpscaleError) as caught:
        PIXAZO.read_status(reply({"status": "COMPLETED", "output": None}))
    assert caught.value.kind == Kind.BAD_RESPONSE
    assert caught.value.meaning.retryable


ENDED = {
    "ERROR": ("ERROR", "Description of the error", Kind.PROVIDER_FAILED, "not charged"),
    "FAILED": ("FAILED", "Description of the error", Kind.PROVIDER_FAILED, "not documented"),
    "FAILED without a reason": ("FAILED", None, Kind.PROVIDER_FAILED, "not documented"),
    "FAILED by a filter": ("FAILED", "NSFW content detected", Kind.CONTENT_REJECTED, "another input"),
    "CANCELLED": ("CANCELLED", None, Kind.CANCELLED, "Run it again"),
    "CANCELED": ("CANCELED", "by operator", Kind.CANCELLED, "Run it again"),
}


@pytest.mark.parametrize(("word", "reason", "kind", "hint"), ENDED.values(), ids=ENDED)
def test_ends_without_a_result(word, reason, kind, hint):
    state = PIXAZO.read_status(reply({"request_id": ID, "status": word, "error": reason, "output": None}))
    assert isinstance(state, Failed)
    assert state.error.kind == kind
    assert state.error.meaning == Meaning.OVER
    assert state.charged is (word != "ERROR")
    assert hint in state.error.hint
    assert not reason or reason in state.error.message


REFUSALS = {
    "insufficient balance": (
        402,
        {"error": "Insufficient Balance", "message": "Your wallet does not have enough balance."},
        Kind.INSUFFICIENT_BALANCE,
        "Top it up at https://www.pixazo.ai. Nothing was charged.",
    ),
    "model not found": (
        400,
        {"error": "Model not found", "message": "Model 'seedvr-upscale' not found or is disabled"},
        Kind.NOT_FOUND,
        "Nothing was charged.",
    ),
    "bad request": (
        400,
        {"message": "image_url is required"},
        Kind.INVALID_PARAMETER,
        "Change what it names",
    ),
    "bad request without a body": (400, b"", Kind.INVALID_PARAMETER, "Change what it names"),
    "unauthorized": (401, {"message": "no"}, Kind.AUTHENTICATION, "PIXAZO_API_KEY"),
    "unauthorized by the gateway": (
        401,
        {"statusCode": 401, "message": "Access denied due to invalid subscription key."},
        Kind.AUTHENTICATION,
        "PIXAZO_API_KEY",
    ),
    "unauthorized inside a 200": (
        200,
        {"statusCode": 401, "message": "Access denied"},
        Kind.AUTHENTICATION,
        "PIXAZO_API_KEY",
    ),
    "forbidden": (403, {}, Kind.FORBIDDEN, "https://www.pixazo.ai"),
    "not found": (404, {"message": "Not Found"}, Kind.NOT_FOUND, "remote-upscale models"),
    "too large": (413, b"<html>", Kind.INVALID_INPUT, "smaller file"),
    "too many": (429, {"message": "slow down"}, Kind.RATE_LIMITED, "at_once"),
    "server error": (
        500,
        {"error": "Internal Server Error", "message": "An unexpected error occurred."},
        Kind.PROVIDER_UNAVAILABLE,
        "later",
    ),
    "unavailable": (503, b"", Kind.PROVIDER_UNAVAILABLE, "later"),
    "bad gateway": (502, b"<html>Bad Gateway</html>", Kind.SUBMISSION_UNKNOWN, "may be charged"),
    "gateway timeout": (504, b"", Kind.SUBMISSION_UNKNOWN, "may be charged"),
    "a server error of somebody else": (500, b"<html>", Kind.SUBMISSION_UNKNOWN, "may be charged"),
    "a redirect": (302, b"", Kind.SUBMISSION_UNKNOWN, "may be charged"),
    "a teapot": (418, b"", Kind.SUBMISSION_UNKNOWN, "may be charged"),
    "accepted without an id": (202, {"status": "QUEUED"}, Kind.SUBMISSION_UNKNOWN, "may be charged"),
    "accepted with garbage": (202, b"<html>", Kind.SUBMISSION_UNKNOWN, "may be charged"),
    "accepted with an unsafe id": (
        202,
        {"request_id": "../../admin", "status": "QUEUED"},
        Kind.SUBMISSION_UNKNOWN,
        "may be charged",
    ),
}


@pytest.mark.parametrize(("status", "body", "kind", "hint"), REFUSALS.values(), ids=REFUSALS)
def test_refused_submit(status, body, kind, hint):
    with pytest.raises(RemoteUpscaleError) as caught:
        PIXAZO.read_submit(IMAGE, reply(body, status))
    assert caught.value.kind == kind
    assert hint in caught.value.hint


SAFE_TO_REPEAT = {401: False, 429: True, 503: True, 500: False, 502: False, 504: False, 400: False}


@pytest.mark.parametrize(("status", "safe"), SAFE_TO_REPEAT.items())
def test_only_a_submit_that_was_turned_away_for_now_is_repeated(status, safe):
    with pytest.raises(RemoteUpscaleError) as caught:
        PIXAZO.read_submit(IMAGE, reply({"message": "x"}, status, **{"retry-after": "3"}))
    assert (caught.value.meaning.retryable and caught.value.meaning.not_accepted) is safe
    if safe:
        assert caught.value.retry_after == 3


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 429])
def test_status_errors_that_pass_are_transient(status):
    with pytest.raises(RemoteUpscaleError) as caught:
        PIXAZO.read_status(reply(b"", status))
    assert caught.value.meaning.retryable
    assert not isinstance(caught.value, SubmissionUnknown)


def test_a_status_error_does_not_claim_that_nothing_was_charged():
    with pytest.raises(RemoteUpscaleError) as caught:
        PIXAZO.read_status(reply(b"", 429))
    assert "charged" not in str(caught.value)


def test_a_status_in_its_own_words_is_believed():
    with pytest.raises(NotFound):
        PIXAZO.read_status(reply({"error": "Not Found", "message": "Request not found."}, 404))
    gateway = {"statusCode": 401, "message": "Access denied due to invalid subscription key."}
    for status in (200, 401):
        with pytest.raises(AuthenticationFailed):
            PIXAZO.read_status(reply(gateway, status))


FOREIGN = {
    "a proxy's page": (b"<html>Not Found</html>", 404),
    "an empty 404": (b"", 404),
    "an empty object": ({}, 404),
    "an address that the gateway does not have": ({"statusCode": 404, "message": "Resource not found"}, 404),
    "the same inside a 200": ({"statusCode": 404, "message": "Resource not found"}, 200),
    "a web framework's": ({"statusCode": 404, "message": "Cannot GET /v2", "error": "Not Found"}, 404),
    "another web framework's": (
        {"timestamp": 1, "status": 404, "error": "Not Found", "message": "No message", "path": "/v2"},
        404,
    ),
    "a message alone": ({"message": "no Route matched with those values"}, 404),
    "a code that is a list": ({"statusCode": [404], "message": "x"}, 404),
    "a sign-in page's 401": (b"<html>Please sign in</html>", 401),
    "a company's 403": (b"<html>Blocked</html>", 403),
    "a gateway's 502": ({"error": "Bad Gateway", "message": "upstream"}, 502),
}


@pytest.mark.parametrize(("body", "status"), FOREIGN.values(), ids=FOREIGN)
def test_what_others_answer_says_nothing_about_a_job(body, status):
    with pytest.raises(RemoteUpscaleError) as caught:
        PIXAZO.read_status(reply(body, status))
    assert caught.value.meaning == Meaning.UNKNOWN
    assert caught.value.kind in (Kind.BAD_RESPONSE, Kind.PROVIDER_UNAVAILABLE)


def test_an_error_that_names_no_job_ends_none():
    with pytest.raises(RemoteUpscaleError) as caught:
        PIXAZO.read_status(reply({"status": "error", "error": "upstream connect error"}))
    assert caught.value.meaning == Meaning.UNKNOWN


@pytest.mark.parametrize("request_id", ["up/scaler+019d==", "{019dxxxx-1}", "a;b,c|d!$(e)*"])
def test_an_opaque_id_is_one_whatever_it_is_made_of(request_id):
    handle = PIXAZO.read_submit(IMAGE, reply({"request_id": request_id, "status": "QUEUED"}, 202)).handle
    assert handle.request_id == request_id
    assert handle.status_url.count("/") == PIXAZO.handle(IMAGE, "plain").status_url.count("/")


@pytest.mark.parametrize("request_id", ["a b", "a/../b", "a//b", "..", "x" * 201, "\u00e4"])
def test_an_id_that_is_none_is_told(request_id):
    with pytest.raises(RemoteUpscaleError) as caught:
        PIXAZO.read_submit(IMAGE, reply({"request_id": request_id, "status": "QUEUED"}, 202))
    assert caught.value.kind == Kind.SUBMISSION_UNKNOWN
    assert request_id[:100] in caught.value.message
