"""A reply's body as JSON: read once."""

import asyncio
import json

import pytest
from remote_upscale.api_clients import http_messages
from remote_upscale.api_clients.errors import BadResponse
from remote_upscale.api_clients.http_messages import Reply


@pytest.fixture
def read(monkeypatch):
    """The bodies that were read as JSON."""
    bodies = []

    monkeypatch.setattr(
        http_messages.json, "loads", lambda body, real=json.loads: bodies.append(body) or real(body)
    )
    return bodies


async def test_json_is_read_once_also_by_a_thread_before(read):
    reply = Reply(200, body=b'{"a": 1}')
    await asyncio.to_thread(reply.parse)
    assert reply.json() == reply.object() == reply.object_or_empty() == {"a": 1}
    assert len(read) == 1


@pytest.mark.parametrize("body", [b"<html>", b"", b"[" * 100_000, b"\xff"])
def test_what_is_no_json_is_said_each_time_and_read_once(read, body):
    reply = Reply(502, body=body)
    reply.parse()
    for _ in range(2):
        with pytest.raises(BadResponse, match="HTTP 502, but not in JSON"):
            reply.json()
    assert reply.object_or_empty() == {}
    assert len(read) == 1


def test_replies_are_equal_whether_they_were_read_or_not():
    one, other = Reply(200, body=b"{}"), Reply(200, body=b"{}")
    one.parse()
    assert one == other
