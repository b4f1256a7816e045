"""APIXO: every request, reply and error of its page, and its older vocabulary."""

import json

import pytest
from remote_upscale.api_clients.errors import Kind, Meaning, RemoteUpscaleError
from remote_upscale.api_clients.http_messages import Reply
from remote_upscale.api_clients.providers.apixo import Apixo
from remote_upscale.api_clients.providers.base import Done, Failed, Handle, Queued, Running
from remote_upscale.api_clients.registry import find_model
from remote_upscale.api_clients.roots import Roots

ROOT = "https://api.apixo.ai/api/v1"
APIXO = Apixo(Roots())
MODEL = find_model("apixo/image-upscaler")
STATUS_URL = f"{ROOT}/statusTask/image-upscaler?taskId=task_12345678"
HANDLE = Handle("apixo", MODEL.id, "task_12345678", STATUS_URL)


def reply(body, status=200, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, headers, content)


def envelope(code=200, message="success", **data):
    return {"code": code, "message": message, "data": {"taskId": "task_12345678", **data}}


REQUESTS = {
    "the page's default": (
        {},
        b'{"request_type":"async","input":{"mode":"image-to-image",'
        b'"image_urls":["https://example.com/input.jpg"],"resolution":"4k","output_format":"jpg"}}',
    ),
    "the page's 8k WebP": (
        {"resolution": "8k", "output_format": "webp"},
        b'{"request_type":"async","input":{"mode":"image-to-image",'
        b'"image_urls":["https://example.com/input.jpg"],"resolution":"8k","output_format":"webp"}}',
    ),
    "the page's callback": (
        {"request_type": "callback", "callback_url": "https://your-server.com/webhooks/apixo"},
        b'{"request_type":"callback","callback_url":"https://your-server.com/webhooks/apixo",'
        b'"input":{"mode":"image-to-image","image_urls":["https://example.com/input.jpg"],'
        b'"resolution":"4k","output_format":"jpg"}}',
    ),
    "capitals and the alias are made canonical": (
        {"resolution": "2K", "output_format": "jpeg", "mode": "image-to-image"},
        b'{"request_type":"async","input":{"mode":"image-to-image",'
        b'"image_urls":["https://example.com/input.jpg"],"resolution":"2k","output_format":"jpg"}}',
    ),
}


@pytest.mark.parametrize(("given", "body"), REQUESTS.values(), ids=REQUESTS)
def test_submit_has_the_exact_bytes_of_the_page(given, body):
    request = APIXO.submit(MODEL, MODEL.check(given).values, "https://example.com/input.jpg")
    assert (request.method, request.url) == ("POST", f"{ROOT}/generateTask/image-upscaler")
    assert request.body == body
    assert request.headers == {"Content-Type": "application/json"}


def test_key_header_and_status_request():
    assert APIXO.authorise("k") == {"Authorization": "Bearer k"}
    assert APIXO.status(HANDLE).url == STATUS_URL
    assert APIXO.cancel(HANDLE) is None


def test_balance_request():
    assert APIXO.balance().url == f"{ROOT}/apikeys/current-balance"
    assert APIXO.read_balance(reply({"code": 200, "message": "success", "data": {}}))
    with pytest.raises(RemoteUpscaleError) as caught:
        APIXO.read_balance(reply({"code": 401, "message": "bad key", "data": None}))
    assert caught.value.kind == Kind.AUTHENTICATION


def test_read_submit():
    got = APIXO.read_submit(MODEL, reply(envelope()))
    assert got.handle == HANDLE
    assert got.state == Queued()


STATES = {
    "pending": (envelope(state="pending"), Queued()),
    "the page's processing": (envelope(state="processing", createTime=1767965610929), Running()),
    "unknown word": (envelope(state="reheating"), Running(note="reheating")),
    "no word": (envelope(), Running(note="no state")),
}


@pytest.mark.parametrize(("body", "state"), STATES.values(), ids=STATES)
def test_read_status(body, state):
    assert APIXO.read_status(reply(body)) == state


LINK = "https://file.apixo.ai/upscaled-image.jpg"
RESULTS = {
    "the page's JSON string": '{"resultUrls":["https://file.apixo.ai/upscaled-image.jpg"]}',
    "an object": {"resultUrls": [LINK]},
    "one link": json.dumps({"resultUrls": LINK}),
}


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_success(result):
    body = envelope(state="success", resultJson=result, completeTime=1767965652317, costTime=41388)
    state = APIXO.read_status(reply(body))
    assert isinstance(state, Done)
    assert state.output.url == LINK


@pytest.mark.parametrize(
    "result", [None, "", "{", "[]", '{"resultUrls":[]}', '{"resultUrls":[7]}', 5, "[" * 9999]
)
def test_success_without_a_usable_link_is_asked_again(result):
    with pytest.raises(RemoteUpscaleError) as caught:
        APIXO.read_status(reply(envelope(state="success", resultJson=result)))
    assert caught.value.kind == Kind.BAD_RESPONSE
    assert caught.value.meaning.retryable


FAILURES = {
    "ImageFormatIncorrect": Kind.INVALID_INPUT,
    "SensitiveContent": Kind.CONTENT_REJECTED,
    "RateLimited": Kind.RATE_LIMITED,
    "Timeout": Kind.TIMEOUT,
    "Unknown error": Kind.PROVIDER_FAILED,
    "CONTENT_VIOLATION": Kind.CONTENT_REJECTED,
    "IMAGE_DOWNLOAD_FAILED": Kind.HOSTING,
    "INSUFFICIENT_CREDITS": Kind.INSUFFICIENT_BALANCE,
    "IMAGE_TOO_LARGE": Kind.INVALID_INPUT,
    "BRAND_NEW_CODE": Kind.PROVIDER_FAILED,
}


@pytest.mark.parametrize(("code", "kind"), FAILURES.items())
def test_failed(code, kind):
    state = APIXO.read_status(reply(envelope(state="failed", failCode=code, failMsg="In its own words.")))
    assert isinstance(state, Failed)
    assert state.error.kind == kind
    assert state.error.hint
    assert "In its own words." in state.error.message


def test_unknown_fail_code_is_kept_verbatim():
    state = APIXO.read_status(reply(envelope(state="failed", failCode="BRAND_NEW_CODE")))
    assert "BRAND_NEW_CODE" in state.error.message


STATUSES = {
    400: Kind.INVALID_PARAMETER,
    401: Kind.AUTHENTICATION,
    402: Kind.INSUFFICIENT_BALANCE,
    403: Kind.FORBIDDEN,
    404: Kind.NOT_FOUND,
    429: Kind.RATE_LIMITED,
    500: Kind.PROVIDER_UNAVAILABLE,
    502: Kind.PROVIDER_UNAVAILABLE,
    504: Kind.PROVIDER_UNAVAILABLE,
}


@pytest.mark.parametrize("as_http", [True, False], ids=["HTTP status", "code inside a 200"])
@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
def test_documented_errors(status, kind, as_http):
    body = {"code": status, "message": "The page's words", "data": {"error": "and more of them"}}
    for read in (lambda got: APIXO.read_submit(MODEL, got), APIXO.read_status):
        with pytest.raises(RemoteUpscaleError) as caught:
            read(reply(body, status if as_http else 200))
        assert caught.value.kind == kind
        assert "The page's words: and more of them" in caught.value.message


VALIDATION = [
    "The required parameter {{input}} is missing.",
    "Invalid mode type. Supported: image-to-image",
    "The required parameter {{image_urls}} is missing.",
    "The parameter {{image_urls}} must be Array type.",
    "The parameter {{image_urls}} must contain exactly 1 image.",
    "The parameter {{image_urls}} Array elements must be String type.",
    "The parameter {{image_urls}} cannot contain empty string.",
    "The parameter {{resolution}} must be either '2k', '4k' or '8k'.",
    "The parameter {{output_format}} must be either 'jpg', 'png' or 'webp'.",
]


@pytest.mark.parametrize("message", VALIDATION)
def test_validation_messages_reach_the_user(message):
    with pytest.raises(RemoteUpscaleError) as caught:
        APIXO.read_submit(MODEL, reply({"code": 400, "message": message}, 400))
    assert caught.value.kind == Kind.INVALID_PARAMETER
    assert message in caught.value.message
    assert "Nothing was charged." in caught.value.hint


@pytest.mark.parametrize("status", [502, 504])
def test_a_gateway_in_between_leaves_a_submit_open(status):
    with pytest.raises(RemoteUpscaleError) as caught:
        APIXO.read_submit(MODEL, reply(b"<html>upstream</html>", status))
    assert caught.value.kind == Kind.SUBMISSION_UNKNOWN


@pytest.mark.parametrize("body", [{"code": 200, "message": "success"}, {"code": 200, "data": {}}, b"", b"[]"])
def test_accepted_without_a_task_id_leaves_a_submit_open(body):
    with pytest.raises(RemoteUpscaleError) as caught:
        APIXO.read_submit(MODEL, reply(body))
    assert caught.value.kind == Kind.SUBMISSION_UNKNOWN


@pytest.mark.parametrize("code", [429, 503])
def test_turned_away_for_now_is_safe_to_repeat(code):
    with pytest.raises(RemoteUpscaleError) as caught:
        APIXO.read_submit(MODEL, reply({"code": code, "message": "busy"}, 200, **{"retry-after": "7"}))
    assert caught.value.meaning.not_accepted
    assert caught.value.meaning.retryable
    assert caught.value.retry_after == 7


FOREIGN = {
    "a proxy's page": (b"<html>Not Found</html>", 404),
    "an empty 404": (b"", 404),
    "a web framework's 404": ({"code": 404, "message": "Not Found"}, 404),
    "another code than the HTTP status": ({"code": 404, "message": "no", "data": None}, 403),
    "a sign-in page's 401": (b"<html>Please sign in</html>", 401),
    "a gateway's 403": ({"error": "Forbidden"}, 403),
    "a gateway's 502": (b"", 502),
    "JSON that is no object": ([1], 404),
}


@pytest.mark.parametrize(("body", "status"), FOREIGN.values(), ids=FOREIGN)
def test_what_others_answer_says_nothing_about_a_job(body, status):
    for read in (APIXO.read_status, APIXO.read_result, APIXO.read_balance):
        with pytest.raises(RemoteUpscaleError) as caught:
            read(reply(body, status))
        assert caught.value.meaning == Meaning.UNKNOWN
        assert caught.value.kind in (Kind.BAD_RESPONSE, Kind.PROVIDER_UNAVAILABLE)


def test_a_job_that_failed_is_over_and_charged_as_far_as_the_page_tells():
    state = APIXO.read_status(reply(envelope(state="failed", failCode="RateLimited")))
    assert (state.error.meaning, state.charged) == (Meaning.OVER, True)


def test_a_failure_that_names_no_job_ends_none():
    body = {"code": 200, "message": "success", "data": {"state": "failed", "failCode": "x"}}
    with pytest.raises(RemoteUpscaleError) as caught:
        APIXO.read_status(reply(body))
    assert caught.value.meaning == Meaning.UNKNOWN
