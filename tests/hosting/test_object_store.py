import hashlib
import logging
import time
from datetime import timedelta

import httpx
import pytest
from aiohttp import web
from obstore.exceptions import GenericError
from remote_upscale.api_clients import object_stores
from remote_upscale.api_clients.errors import HostingFailed, InvalidInput
from remote_upscale.api_clients.hosting import Hosting
from remote_upscale.api_clients.http import Http
from remote_upscale.api_clients.settings import Settings, TimeLimits
from s3_server import S3_SECRET


@pytest.fixture
async def host(s3_url, tmp_path):
    settings = Settings(home=tmp_path, bucket_url=s3_url, time=TimeLimits(retry=2, idle=5))
    async with Http(settings) as http:
        yield Hosting(settings, http).host


async def fetch(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(url)


@pytest.mark.parametrize("size", [1, 50_000, 8 << 20, (8 << 20) + 1, 19_000_000])
async def test_the_signed_link_gives_the_bytes_and_their_type(host, make, size):
    file, told = make(size), []
    hosted = await host(file.source, **file.args(), progress=lambda *a: told.append(a))
    got = await fetch(hosted.url)
    assert got.status_code == 200
    assert got.content == file.data
    assert got.headers["content-type"] == "image/png"
    assert f"/bucket/some/prefix/{file.digest}.png?" in hosted.url
    assert hosted.way == "object-store"
    assert told[-1] == (size, size)
    assert told == sorted(told)


async def test_the_link_works_as_long_as_asked_and_a_week_at_most(host, make):
    file = make()
    hosted = await host(file.source, **file.args(valid_for=9000.0))
    assert "X-Amz-Expires=9000&" in hosted.url
    assert hosted.expires == pytest.approx(time.time() + 9000, abs=60)
    hosted = await host(file.source, **file.args(valid_for=1e9))
    assert "X-Amz-Expires=604800&" in hosted.url
    assert hosted.expires == pytest.approx(time.time() + 604800, abs=60)


async def test_only_the_signature_opens_it_and_nobody_is_shown_it(host, make):
    file = make()
    hosted = await host(file.source, **file.args())
    assert (await fetch(hosted.url.partition("?")[0])).status_code == 403
    assert S3_SECRET not in hosted.url
    assert hosted.url not in repr(hosted)


async def test_the_same_bytes_are_uploaded_once(host, make, caplog):
    file, told = make(), []
    with caplog.at_level(logging.INFO, logger="werkzeug"):
        await host(file.source, **file.args())
        hosted = await host(file.source, **file.args(), progress=lambda *a: told.append(a))
    assert caplog.text.count("PUT /bucket/some/prefix/") == 1
    assert told == []
    assert (await fetch(hosted.url)).content == file.data


async def test_an_object_of_another_size_is_replaced(host, make):
    file = make()
    half = make(10)
    other = await host(half.source, **file.args())
    assert (await fetch(other.url)).content == half.data
    hosted = await host(file.source, **file.args())
    assert (await fetch(hosted.url)).content == file.data


async def test_a_bucket_that_does_not_exist_is_named_as_the_reason(s3_url, make, tmp_path):
    settings = Settings(home=tmp_path, bucket_url="s3://nowhere/x", time=TimeLimits(retry=2, idle=5))
    file = make()
    async with Http(settings) as http:
        with pytest.raises(HostingFailed, match=r"does not have this bucket \(NoSuchBucket\)") as caught:
            await Hosting(settings, http).host(file.source, **file.args())
    assert not caught.value.meaning.retryable
    assert "REMOTE_UPSCALE_BUCKET_URL" in caught.value.hint


async def test_a_store_that_cannot_be_reached_is_a_passing_error(s3_url, make, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    settings = Settings(home=tmp_path, bucket_url=s3_url, time=TimeLimits(retry=0.2, idle=1))
    file = make()
    async with Http(settings) as http:
        with pytest.raises(HostingFailed, match="cannot be used") as caught:
            await Hosting(settings, http).host(file.source, **file.args())
    assert caught.value.meaning.retryable
    assert S3_SECRET not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


async def test_a_refused_key_is_said_and_not_shown(s3_url, make, tmp_path, monkeypatch):
    async def refuse(request: web.Request) -> web.Response:
        code = "AccessDenied"
        body = f"<Error><Code>{code}</Code><AWSAccessKeyId>AKIDISTINCTIVE</AWSAccessKeyId></Error>"
        return web.Response(status=403, text=body, content_type="application/xml")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{runner.addresses[0][1]}")
    settings = Settings(home=tmp_path, bucket_url=s3_url, time=TimeLimits(retry=1, idle=5))
    file = make()
    async with Http(settings) as http:
        with pytest.raises(HostingFailed, match=r"refuses the upload \(AccessDenied\)") as caught:
            await Hosting(settings, http).host(file.source, **file.args())
    await runner.cleanup()
    assert not caught.value.meaning.retryable
    assert "AKIDISTINCTIVE" not in str(caught.value)


@pytest.mark.parametrize("size", [1000, 9_000_000])
async def test_a_file_that_is_gone_is_told_apart_from_the_store(host, make, size):
    file = make(size)
    source = file.source
    file.path.unlink()
    with pytest.raises(InvalidInput, match="does not exist"):
        await host(source, **file.args())


async def test_the_digest_is_of_the_bytes_that_are_hosted(host, make):
    file = make(9_000_000)
    hosted = await host(file.source, **file.args())
    assert hashlib.sha256((await fetch(hosted.url)).content).hexdigest() == file.digest


class Breaking:
    """In front of a store: some requests find the connection broken."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.breaks: dict[str, int] = {}
        self.seen: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        number = request.query.get("partNumber", "")
        name = f"{request.method} {number}".strip()
        self.seen.append(name)
        body = await request.read()
        if self.breaks.get(name):
            self.breaks[name] -= 1
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            got = await client.request(
                request.method,
                f"{self.endpoint}{request.raw_path}",
                headers=dict(request.headers),
                content=body,
            )
        left = {"transfer-encoding", "content-length", "connection", "date", "server"}
        kept = {key: value for key, value in got.headers.items() if key not in left}
        if request.method == "HEAD" and "content-length" in got.headers:
            kept["Content-Length"] = got.headers["content-length"]
        return web.Response(status=got.status_code, body=got.content, headers=kept)


@pytest.fixture
async def breaking(s3_url, s3_endpoint, monkeypatch):
    server = Breaking(s3_endpoint)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{runner.addresses[0][1]}")
    monkeypatch.setattr(object_stores, "_FIRST_WAIT", timedelta(milliseconds=1))
    monkeypatch.setattr(object_stores, "_LONGEST_WAIT", timedelta(milliseconds=5))
    yield server
    await runner.cleanup()


async def test_a_part_that_breaks_often_is_sent_again_and_the_others_stay(breaking, s3_url, make, tmp_path):
    breaking.breaks = {"PUT 2": 12}
    settings = Settings(home=tmp_path, bucket_url=s3_url, time=TimeLimits(retry=60, idle=20))
    file = make(30_000_000)
    async with Http(settings) as http:
        hosted = await Hosting(settings, http).host(file.source, **file.args())
    parts = [name for name in breaking.seen if name.startswith("PUT ")]
    assert parts.count("PUT 2") == 13
    assert [parts.count(f"PUT {number}") for number in (1, 3, 4)] == [1, 1, 1]
    assert hashlib.sha256((await fetch(hosted.url)).content).hexdigest() == file.digest


async def test_a_single_upload_that_breaks_often_is_sent_again(breaking, s3_url, make, tmp_path):
    breaking.breaks = {"PUT": 12, "HEAD": 3}
    settings = Settings(home=tmp_path, bucket_url=s3_url, time=TimeLimits(retry=60, idle=20))
    file = make()
    async with Http(settings) as http:
        hosted = await Hosting(settings, http).host(file.source, **file.args())
    assert breaking.seen.count("PUT") == 13
    assert (await fetch(hosted.url)).content == file.data


@pytest.mark.parametrize(
    ("code", "passes"), [("SlowDown", True), ("InternalError", True), ("InvalidRequest", False)]
)
def test_what_passes_at_a_store_is_told_apart(code, passes):
    assert object_stores.may_pass(GenericError(f"Server error: <Error><Code>{code}</Code></Error>")) is passes
