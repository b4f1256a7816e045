"""Strings from outside, and addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from remote_upscale.api_clients.http_messages import Reply
from remote_upscale.api_clients.text import clean
from remote_upscale.api_clients.urls import lies_under

ROOT = "https://queue.fal.run/base"

UNDER = [
    "https://queue.fal.run/base/x",
    "https://queue.fal.run:443/base/x?y",
    "https://QUEUE.fal.run/base/x",
]
NOT_UNDER = [
    "https://queue.fal.run/base",
    "https://queue.fal.run/basement/x",
    "https://queue.fal.run/base/../x",
    "https://queue.fal.run/base/%2e%2e/x",
    "https://queue.fal.run:8443/base/x",
    "https://queue.fal.run:0/base/x",
    "http://queue.fal.run/base/x",
    "https://evil.example/base/x",
    "https://queue.fal.run@evil.example/base/x",
    "https://me@queue.fal.run/base/x",
    "https://queue.fal.run\\.evil.example/base/x",
    "https://queue.fal.run/base/ x",
    "https://queue.fal.run:99999/base/x",
    "//queue.fal.run/base/x",
    "",
]


@pytest.mark.parametrize("url", UNDER)
def test_under_the_root(url):
    assert lies_under(ROOT, url)


@pytest.mark.parametrize("url", NOT_UNDER)
def test_not_under_the_root(url):
    assert not lies_under(ROOT, url)


def test_signatures_do_not_show():
    told = clean("GET https://bucket.example/a.png?X-Amz-Signature=deadbeef failed, see https://x.example/y")
    assert told == "GET https://bucket.example/a.png failed, see https://x.example/y"
    assert clean("was data:image/png;base64," + "QUFB" * 99) == "was data:…"


@given(st.text())
def test_clean_is_one_printable_line(text):
    line = clean(text, 50)
    assert len(line) <= 50
    assert line.isprintable()
    line.encode()


RETRY_AFTER = [
    ({"retry-after": "7"}, 7),
    ({"retry-after": "0.5"}, 0.5),
    ({"retry-after": "-7"}, None),
    ({"retry-after": "soon"}, None),
    ({}, None),
    ({"retry-after": "Fri, 20 Nov 2026 11:00:09 GMT", "date": "Fri, 20 Nov 2026 11:00:00 GMT"}, 9),
    ({"retry-after": "Fri, 20 Nov 2026 10:00:00 GMT", "date": "Fri, 20 Nov 2026 11:00:00 GMT"}, 0),
    ({"retry-after": "Fri, 20 Nov 2026 11:00:09 GMT"}, None),
]


@pytest.mark.parametrize(("headers", "seconds"), RETRY_AFTER)
def test_retry_after(headers, seconds):
    assert Reply(429, headers).retry_after == seconds
