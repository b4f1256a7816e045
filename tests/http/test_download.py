import asyncio
import gzip
import logging
import os
import socket

import aiohttp
import pytest
from aiohttp import web
from remote_upscale.api_clients.errors import (
    BadResponse,
    ProviderUnavailable,
    RemoteUpscaleError,
    ResultLost,
    StorageFailed,
    TimedOut,
)
from remote_upscale.api_clients.http import Downloaded, PartialFile
from remote_upscale.api_clients.http.names import PublicResolver

DATA = os.urandom(3_000_000)
LIMIT = 10_000_000


async def fetch(http, url, path, *, max_bytes=LIMIT, **more) -> Downloaded:
    """One attempt, as a process that begins or goes on makes it."""
    with PartialFile.open(path) as partial:
        return await http.download(url, partial, max_bytes=max_bytes, **more)


def media(body: bytes = DATA, **headers: str) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": "image/png", **headers})


async def test_a_result_is_streamed_into_the_file(net, tmp_path):
    seen = {}

    async def handler(request: web.Request) -> web.Response:
        seen.update(request.headers)
        return media(**{"Content-Type": "IMAGE/PNG; charset=binary"})

    root = await net.serve(handler)
    http = await net.http(root)
    told = []
    path = tmp_path / "result.part"
    path.write_bytes(b"old" * 2_000_000)
    found = await fetch(
        http, f"{root}/r.png?sig=1", path, max_bytes=len(DATA), progress=lambda *a: told.append(a)
    )
    assert found == Downloaded(len(DATA), "image/png")
    assert path.read_bytes() == DATA
    assert told[0] == (0, len(DATA))
    assert told[-1] == (len(DATA), len(DATA))
    assert told == sorted(told)
    assert seen["Accept-Encoding"] == "identity"
    assert "Authorization" not in seen
    assert "Cookie" not in seen


async def test_a_result_without_length_and_type(net, tmp_path):
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(DATA)
        return response

    root = await net.serve(handler)
    http = await net.http(root)
    told = []
    found = await fetch(http, f"{root}/r", tmp_path / "r", progress=lambda *a: told.append(a))
    assert found.size == len(DATA)
    assert told[-1] == (len(DATA), None)


async def test_a_compressed_result_is_decompressed_within_the_limit(net, tmp_path):
    async def handler(request: web.Request) -> web.Response:
        return media(gzip.compress(bytes(2_000_000)), **{"Content-Encoding": "gzip", "ETag": '"a"'})

    root = await net.serve(handler)
    http = await net.http(root)
    with PartialFile.open(tmp_path / "r") as partial:
        await http.download(f"{root}/r", partial, max_bytes=2_000_000)
        assert (tmp_path / "r").read_bytes() == bytes(2_000_000)
        assert partial.validator is None
    with pytest.raises(BadResponse, match="larger than"):
        await fetch(http, f"{root}/r", tmp_path / "r", max_bytes=1_999_999)


@pytest.mark.parametrize("declared", [True, False])
async def test_a_result_above_the_limit_is_refused(net, tmp_path, declared):
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "image/png"})
        if declared:
            response.content_length = len(DATA)
        await response.prepare(request)
        await response.write(DATA)
        return response

    root = await net.serve(handler)
    http = await net.http(root)
    with pytest.raises(BadResponse, match="larger than") as caught:
        await fetch(http, f"{root}/r", tmp_path / "r", max_bytes=len(DATA) - 1)
    assert not caught.value.meaning.retryable
    assert (tmp_path / "r").stat().st_size < len(DATA)


@pytest.mark.parametrize(
    "media_type",
    [
        "text/html",
        "text/html; charset=utf-8",
        "application/json",
        "application/problem+json",
        "TEXT/PLAIN",
        "application/xml",
    ],
)
async def test_a_page_instead_of_a_result_is_refused(net, tmp_path, media_type):
    async def handler(request: web.Request) -> web.Response:
        return media(b"<html>", **{"Content-Type": media_type})

    root = await net.serve(handler)
    http = await net.http(root)
    with pytest.raises(BadResponse, match="not a picture or clip"):
        await fetch(http, f"{root}/r", tmp_path / "r")
    assert (tmp_path / "r").stat().st_size == 0


@pytest.mark.parametrize(
    ("status", "kind", "transient"),
    [
        (400, ResultLost, False),
        (401, ResultLost, False),
        (403, ResultLost, False),
        (404, ResultLost, False),
        (410, ResultLost, False),
        (408, ProviderUnavailable, True),
        (429, ProviderUnavailable, True),
        (500, ProviderUnavailable, True),
        (503, ProviderUnavailable, True),
        (204, BadResponse, False),
        (304, BadResponse, False),
        (418, BadResponse, False),
        (206, ProviderUnavailable, True),
        (416, ProviderUnavailable, True),
    ],
)
async def test_a_status_says_whether_to_try_again(net, tmp_path, status, kind, transient):
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Retry-After": "3"})

    root = await net.serve(handler)
    http = await net.http(root)
    with pytest.raises(RemoteUpscaleError) as caught:
        await fetch(http, f"{root}/r?sig=secret", tmp_path / "r")
    assert type(caught.value) is kind
    assert caught.value.meaning.retryable is transient
    assert "secret" not in str(caught.value)
    if status in (429, 503):
        assert caught.value.retry_after == 3


# Redirects and what they may lead to


async def test_redirects_are_followed_with_nothing_but_public_headers(net, tmp_path):
    hops = []

    async def handler(request: web.Request) -> web.Response:
        hops.append((request.path_qs, dict(request.headers)))
        number = len(hops)
        if number <= 5:
            location = "next?x=1" if number % 2 else f"{root}/a/b/c?n={number}"
            return web.Response(
                status=[301, 302, 303, 307, 308][number - 1],
                headers={"Location": location, "Set-Cookie": "a=b"},
            )
        return media()

    root = await net.serve(handler)
    http = await net.http(root)
    assert (await fetch(http, f"{root}/a/r", tmp_path / "r")).size == len(DATA)
    assert [path for path, _ in hops][:3] == ["/a/r", "/a/next?x=1", "/a/b/c?n=2"]
    for _path, headers in hops:
        assert not {"Authorization", "Cookie", "Referer", "X-Key"} & set(headers)


async def test_redirects_without_end_are_given_up(net, tmp_path):
    hops = []

    async def handler(request: web.Request) -> web.Response:
        hops.append(request)
        return web.Response(status=302, headers={"Location": "/again"})

    root = await net.serve(handler)
    http = await net.http(root)
    with pytest.raises(BadResponse, match="more than 5 times"):
        await fetch(http, f"{root}/r", tmp_path / "r")
    assert len(hops) == 6


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.169.254/",
        "https://10.0.0.1/x",
        "https://[::1]/x",
        "https://2130706433/x",
        "http://example.com/x",
        "file:///etc/passwd",
        "//user@example.com/x",
        "https://[broken/x",
        "http://{other}/x",
        "https://{other}/x",
        "http://localhost:{port}/x",
    ],
)
async def test_a_redirect_to_a_place_that_is_not_public_is_refused(net, tmp_path, location):
    hits = []

    async def elsewhere(request: web.Request) -> web.Response:
        hits.append(request)
        return media()

    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": target})

    other = (await net.serve(elsewhere)).removeprefix("http://")
    root = await net.serve(handler)
    target = location.format(other=other, port=root.rpartition(":")[2])
    http = await net.http(root)
    with pytest.raises(BadResponse):
        await fetch(http, f"{root}/r", tmp_path / "r")
    assert not hits


async def test_a_link_to_another_loopback_port_is_refused(net, tmp_path):
    hits = []

    async def handler(request: web.Request) -> web.Response:
        hits.append(request)
        return media()

    other = await net.serve(handler)
    http = await net.http(await net.serve(handler))
    with pytest.raises(BadResponse, match="refused"):
        await fetch(http, f"{other}/r", tmp_path / "r")
    assert not hits


class Names(aiohttp.abc.AbstractResolver):
    """A name server of the attacker's: every name leads where it says."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(self, host, port=0, family=socket.AF_INET):
        return [
            {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}
            for address in self.addresses
        ]

    async def close(self):
        pass


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fe80::1%1", "::ffff:7f00:1"]
)
async def test_a_public_name_that_leads_to_a_private_address_is_refused(net, tmp_path, monkeypatch, address):
    monkeypatch.setattr(aiohttp, "DefaultResolver", lambda: Names(address))
    http = await net.http()
    with pytest.raises(BadResponse, match="leads to an address that is not public"):
        await fetch(http, "https://cdn.example.com/r", tmp_path / "r")


async def test_only_the_public_addresses_of_a_name_are_connected_to(monkeypatch):
    monkeypatch.setattr(aiohttp, "DefaultResolver", lambda: Names("10.0.0.1", "8.8.8.8", "::1"))
    found = await PublicResolver([]).resolve("cdn.example.com", 443)
    assert [result["host"] for result in found] == ["8.8.8.8"]


async def test_a_loopback_root_by_name_leads_to_loopback_only(monkeypatch):
    monkeypatch.setattr(aiohttp, "DefaultResolver", lambda: Names("127.0.0.1", "8.8.8.8"))
    resolver = PublicResolver(["http://localhost:8000"])
    assert [r["host"] for r in await resolver.resolve("localhost", 8000)] == ["127.0.0.1"]
    assert [r["host"] for r in await resolver.resolve("localhost", 8001)] == ["8.8.8.8"]


async def test_a_root_called_localhost_is_really_reached(net, tmp_path):
    async def handler(request: web.Request) -> web.Response:
        return media()

    root = (await net.serve(handler)).replace("127.0.0.1", "localhost")
    http = await net.http(root)
    assert (await fetch(http, f"{root}/r", tmp_path / "r")).size == len(DATA)


async def test_the_guard_makes_no_real_lookup_for_localhost_on_another_port(net, tmp_path):
    async def handler(request: web.Request) -> web.Response:
        return media()

    port = (await net.serve(handler)).rpartition(":")[2]
    http = await net.http()
    with pytest.raises(BadResponse):
        await fetch(http, f"https://localhost:{port}/r", tmp_path / "r")


async def test_a_silent_result_is_given_up(net, tmp_path):
    done = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "image/png"})
        await response.prepare(request)
        await response.write(b"x")
        await done.wait()
        return response

    root = await net.serve(handler)
    http = await net.http(root, idle=0.2)
    with pytest.raises(TimedOut) as caught:
        await fetch(http, f"{root}/r", tmp_path / "r")
    done.set()
    assert caught.value.meaning.retryable


async def test_a_file_that_cannot_be_written_is_said_in_words(net, tmp_path):
    async def handler(request: web.Request) -> web.Response:
        return media()

    root = await net.serve(handler)
    http = await net.http(root)
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageFailed, match="folder cannot be written") as caught:
        await fetch(http, f"{root}/r", tmp_path / "folder")
    assert not caught.value.meaning.retryable


async def test_a_cancelled_download_leaves_the_file_closed_and_the_client_usable(net, tmp_path):
    begun = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/whole":
            return media()
        response = web.StreamResponse(headers={"Content-Type": "image/png"})
        await response.prepare(request)
        await response.write(DATA)
        begun.set()
        await asyncio.sleep(60)
        return response

    root = await net.serve(handler)
    http = await net.http(root)
    task = asyncio.create_task(fetch(http, f"{root}/r", tmp_path / "r"))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await fetch(http, f"{root}/whole", tmp_path / "r")).size == len(DATA)


async def test_a_progress_callback_that_raises_is_logged_and_ignored(net, tmp_path, caplog):
    async def handler(request: web.Request) -> web.Response:
        return media()

    def fail(done: int, total: int | None) -> None:
        raise OSError("not a broken connection")

    root = await net.serve(handler)
    http = await net.http(root)
    await fetch(http, f"{root}/r", tmp_path / "r", progress=fail)
    assert (tmp_path / "r").read_bytes() == DATA
    assert [record.message for record in caplog.records] == [
        "A progress callback failed; the transfer goes on"
    ]
    assert "not a broken connection" in caplog.text


async def test_links_are_not_logged(net, tmp_path, caplog):
    async def handler(request: web.Request) -> web.Response:
        if request.path == "/secret-path":
            return web.Response(status=302, headers={"Location": "/secret-other?sig=secret"})
        return media()

    root = await net.serve(handler)
    http = await net.http(root)
    with caplog.at_level(logging.DEBUG):
        await fetch(http, f"{root}/secret-path?sig=secret-query", tmp_path / "r")
    assert "GET 127.0.0.1 200" in caplog.text
    assert "secret" not in caplog.text
