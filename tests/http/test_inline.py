import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from remote_upscale.api_clients.errors import BadResponse
from remote_upscale.api_clients.http.inline import decode_data_uri


@given(st.binary(max_size=2000))
def test_bytes_come_back_from_base64(data):
    uri = "data:image/png;base64," + base64.b64encode(data).decode()
    assert decode_data_uri(uri, len(data)) == ("image/png", data)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("data:,a%20b", ("text/plain", b"a b")),
        ("data:IMAGE/PNG;name=a.png;BASE64,AAEC", ("image/png", b"\0\1\2")),
        ("DATA:image/svg+xml;charset=utf-8,%3Csvg%2F%3E", ("image/svg+xml", b"<svg/>")),
        ("data:image/png;base64,AAE%3D", ("image/png", b"\0\1")),
    ],
)
def test_the_forms_of_the_standard(uri, expected):
    assert decode_data_uri(uri, 100) == expected


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://example.com/a.png",
        "data:image/png;base64",
        "data:image/png;base64,A",
        "data:image/png;base64,AA!C",
        "data:image/png;base64,AA-_",
        "data:image/png;base64,ÄÖ",
        "data:image/png;base64,%FF",
        "data:nothing,x",
        "data:text/plain,ä",
    ],
)
def test_what_is_damaged_is_refused(uri):
    with pytest.raises(BadResponse):
        decode_data_uri(uri, 100)


@pytest.mark.parametrize("uri", ["data:image/png;base64,AAEC", "data:,abc"])
def test_the_limit_is_exact(uri):
    assert len(decode_data_uri(uri, 3)[1]) == 3
    with pytest.raises(BadResponse, match="larger than 2 bytes"):
        decode_data_uri(uri, 2)


@given(st.text() | st.from_regex(r"data:.*"), st.integers(0, 50))
@example("data:" + ";" * 5000 + ",", 9)
@example("data:,%\ud800", 9)
def test_any_text_is_decoded_within_the_limit_or_refused(uri, limit):
    try:
        media_type, data = decode_data_uri(uri, limit)
    except BadResponse:
        return
    assert len(data) <= limit
    assert "/" in media_type
