"""Whatever comes back, readers raise our own errors and nothing else."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from remote_upscale.api_clients.errors import RemoteUpscaleError
from remote_upscale.api_clients.http_messages import Reply
from remote_upscale.api_clients.providers.base import Done, Failed, Queued, Running, Submitted
from remote_upscale.api_clients.registry import MODELS, PROVIDERS
from remote_upscale.api_clients.roots import Roots

WORDS = [
    *("request_id", "status", "output", "media_url", "error", "message", "statusCode", "code", "data"),
    *("taskId", "state", "resultJson", "resultUrls", "failCode", "failMsg", "detail", "type", "msg", "loc"),
    *("error_type", "image", "url", "queue_position", "status_url", "response_url", "cancel_url"),
]
VALUES = [
    "QUEUED",
    "COMPLETED",
    "FAILED",
    "ERROR",
    "success",
    "failed",
    "IN_QUEUE",
    "COMPLETED",
    "\ud800",
    "",
]

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(VALUES)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(), inner, max_size=6)
    ),
    max_leaves=25,
)
json_bodies = documents.map(lambda document: json.dumps(document).encode())
HOSTILE = [
    b"",
    b"<html><body>502 Bad Gateway</body></html>",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"status": "COMPL',
    b"1" * 10_000,
    b'{"request_id": "x", "status": ' + b'"Q"' * 3,
    b"null",
    b'"\\ud800"',
    b'{"status":"COMPLETED","output":{"media_url":[[[[["x"]]]]]}}',
    json.dumps({"status": "x" * 1_000_000, "request_id": "y" * 1_000_000}).encode(),
]
bodies = json_bodies | st.binary() | st.sampled_from(HOSTILE)
truncated = st.tuples(json_bodies, st.integers(0, 400)).map(lambda pair: pair[0][: pair[1]])
statuses = st.sampled_from(
    [200, 202, 204, 302, 400, 401, 402, 403, 404, 408, 422, 429, 500, 502, 503, 504, 599]
)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "x-fal-retryable", "content-type"]),
    st.sampled_from(["1", "0", "-1", "1e9", "nan", "Fri, 20 Nov 2026 11:00:00 GMT", "false", "²"]),
)
replies = st.builds(Reply, statuses, headers, bodies | truncated)


@pytest.mark.parametrize("name", PROVIDERS)
@given(reply=replies)
@settings(max_examples=300, deadline=None)
def test_readers_never_raise_anything_but_our_errors(name, reply):
    provider = PROVIDERS[name](Roots())
    model = next(model for model in MODELS.values() if model.provider == name)
    readers = {
        "submit": (lambda: provider.read_submit(model, reply), Submitted),
        "status": (lambda: provider.read_status(reply), (Queued, Running, Done, Failed)),
        "balance": (lambda: provider.read_balance(reply), str),
        "cancel": (lambda: provider.read_cancel(reply), bool),
        "result": (lambda: provider.read_result(reply), (Queued, Running, Done, Failed)),
    }
    for read, gives in readers.values():
        try:
            assert isinstance(read(), gives)
        except RemoteUpscaleError as error:
            for line in (error.message, error.hint):
                line.encode()  # no lone surrogates, which would break a log or a terminal
                assert len(line) < 1500
                assert "\n" not in line
