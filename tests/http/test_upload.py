import asyncio
import os

import pytest
from aiohttp import web
from remote_upscale.api_clients.errors import (
    BadResponse,
    InvalidInput,
    ProviderUnavailable,
    RemoteUpscaleError,
    TimedOut,
)
from remote_upscale.api_clients.files.spliced_file import Range, SplicedFile
from remote_upscale.api_clients.http import Http, RetryBudget
from remote_upscale.api_clients.settings import TimeLimits

DATA = os.urandom(2_500_000)


@pytest.fixture
def source(tmp_path) -> SplicedFile:
    path = tmp_path / "input.png"
    path.write_bytes(DATA)
    return SplicedFile(path, (Range(0, 1000), b"literal", Range(1000, len(DATA))))


WHOLE = DATA[:1000] + b"literal" + DATA[1000:]


async def test_a_file_is_streamed_with_its_length(net, source):
    seen = {}

    async def handler(request: web.Request) -> web.Response:
        seen.update(method=request.method, headers=request.headers, body=await request.read())
        return web.Response(status=201, headers={"ETag": '"x"'}, text="thanks")

    root = await net.serve(handler)
    http = await net.http(root)
    told = []
    headers = {"Content-Type": "image/png", "X-Token": "t"}
    reply = await http.upload(
        "PUT", f"{root}/up?sig=1", headers=headers, source=source, progress=lambda *a: told.append(a)
    )
    assert (reply.status, reply.headers["etag"], reply.body) == (201, '"x"', b"thanks")
    assert seen["body"] == WHOLE
    assert seen["method"] == "PUT"
    assert seen["headers"]["Content-Length"] == str(len(WHOLE))
    assert "Transfer-Encoding" not in seen["headers"]
    assert seen["headers"]["Content-Type"] == "image/png"
    assert seen["headers"]["X-Token"] == "t"
    assert told[-1] == (len(WHOLE), len(WHOLE))
    assert told == sorted(told)


@pytest.mark.parametrize(("offset", "length"), [(500, 1000), (0, 10), (2_000_000, None), (len(WHOLE), None)])
async def test_a_part_of_a_file(net, source, offset, length):
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    root = await net.serve(handler)
    http = await net.http(root)
    reply = await http.upload("PUT", f"{root}/up", headers={}, source=source, offset=offset, length=length)
    assert reply.body == WHOLE[offset:][:length]


async def test_an_upload_goes_to_public_places_only(net, source):
    hits = []

    async def handler(request: web.Request) -> web.Response:
        hits.append(request)
        return web.Response()

    other = await net.serve(handler)
    http = await net.http()
    for url in (f"{other}/up", "http://example.com/up", "https://10.0.0.1/up"):
        with pytest.raises(BadResponse, match="refused"):
            await http.upload("PUT", url, headers={"Authorization": "t"}, source=source)
    assert not hits


async def test_a_redirect_of_an_upload_is_not_followed(net, source):
    hits = []

    async def handler(request: web.Request) -> web.Response:
        hits.append(request.path)
        await request.read()
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    root = await net.serve(handler)
    http = await net.http(root)
    assert (await http.upload("PUT", f"{root}/up", headers={}, source=source)).status == 307
    assert hits == ["/up"]


async def test_a_refusal_before_the_end_is_read_or_is_a_lost_connection(net, tmp_path):
    """A server that does not want it answers at once and hangs up; whether its answer survives is luck."""
    path = tmp_path / "large"
    path.write_bytes(bytes(30_000_000))

    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        await writer.drain()

    root = await net.talk(talk)
    http = await net.http(root, idle=5)
    statuses, failures = [], []
    try:
        statuses.append(
            (await http.upload("PUT", f"{root}/up", headers={}, source=SplicedFile.whole(path))).status
        )
    except RemoteUpscaleError as error:
        failures.append(type(error))
    assert statuses == [413] or failures == [ProviderUnavailable]


async def test_a_reply_before_the_end_is_read_while_the_server_still_listens(net, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(bytes(30_000_000))
    done = asyncio.Event()

    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        await done.wait()

    root = await net.talk(talk)
    http = await net.http(root, idle=5)
    reply = await http.upload("PUT", f"{root}/up", headers={}, source=SplicedFile.whole(path))
    done.set()
    assert (reply.status, reply.body) == (403, b"no")


@pytest.mark.parametrize("reads", [0, 100_000])
async def test_a_receiver_that_stops_taking_bytes_is_given_up(net, tmp_path, reads):
    path = tmp_path / "large"
    path.write_bytes(bytes(30_000_000))
    done = asyncio.Event()

    async def talk(reader, writer):
        await reader.read(reads)
        await done.wait()

    root = await net.talk(talk)
    http = await net.http(root, idle=0.3)
    with pytest.raises(TimedOut) as caught:
        await http.upload("PUT", f"{root}/up", headers={}, source=SplicedFile.whole(path))
    done.set()
    assert caught.value.meaning.retryable


async def test_a_slow_receiver_that_keeps_taking_bytes_is_served(net, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(bytes(12_000_000))

    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        left = 12_000_000
        while left > 0:
            left -= len(await reader.read(2_000_000))
            await asyncio.sleep(0.005)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    root = await net.talk(talk)
    http = await net.http(root, idle=0.5)
    assert (await http.upload("PUT", f"{root}/up", headers={}, source=SplicedFile.whole(path))).status == 200


async def test_a_reset_in_the_middle_is_a_lost_connection(net, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(bytes(30_000_000))

    async def talk(reader, writer):
        await reader.readexactly(100_000)
        writer.transport.abort()

    root = await net.talk(talk)
    http = await net.http(root)
    with pytest.raises(ProviderUnavailable) as caught:
        await http.upload("PUT", f"{root}/up", headers={}, source=SplicedFile.whole(path))
    assert caught.value.meaning.retryable
    assert not caught.value.meaning.not_accepted


async def test_a_file_that_is_gone_is_told_apart_from_a_network_error(net, source):
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    root = await net.serve(handler)
    http: Http = await net.http(root)
    source.path.unlink()
    with pytest.raises(InvalidInput, match="does not exist"):
        await http.upload("PUT", f"{root}/up", headers={}, source=source)


async def test_a_file_that_shrinks_is_told_apart_from_a_network_error(net, source):
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    root = await net.serve(handler)
    http = await net.http(root)
    source.path.write_bytes(DATA[:1_500_000])
    with pytest.raises(InvalidInput, match="changed while it was being read"):
        await http.upload("PUT", f"{root}/up", headers={}, source=source)


async def test_cancelling_an_upload_leaves_the_client_usable(net, tmp_path, source):
    path = tmp_path / "large"
    path.write_bytes(bytes(30_000_000))
    begun = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/slow":
            await request.content.readexactly(1000)
            begun.set()
            await asyncio.sleep(60)
        return web.Response(body=await request.read())

    root = await net.serve(handler)
    http = await net.http(root)
    task = asyncio.create_task(http.upload("PUT", f"{root}/slow", headers={}, source=SplicedFile.whole(path)))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await http.upload("PUT", f"{root}/up", headers={}, source=source, length=9)).body == WHOLE[:9]


async def test_a_slow_reply_after_the_last_byte_is_waited_for(net, source):
    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(8):
            await response.write(b"x")
            await asyncio.sleep(0.1)
        return response

    root = await net.serve(handler)
    http = await net.http(root, idle=0.5)
    reply = await http.upload("PUT", f"{root}/up", headers={}, source=source)
    assert reply.body == b"x" * 8


async def test_a_progress_callback_that_raises_is_no_broken_connection(net, source, caplog):
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    def fail(done: int, total: int | None) -> None:
        raise ConnectionError("of the callback")

    root = await net.serve(handler)
    http = await net.http(root)
    reply = await http.upload("PUT", f"{root}/up", headers={}, source=source, progress=fail)
    assert reply.body == str(len(WHOLE)).encode()
    assert [record.message for record in caplog.records] == [
        "A progress callback failed; the transfer goes on"
    ]


async def test_bytes_that_go_out_renew_the_budget(net, source):
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    positions = []

    class Watched(RetryBudget):
        def transfer(self):
            return positions.append

    root = await net.serve(handler)
    http = await net.http(root)
    budget = Watched(TimeLimits())
    await http.upload("PUT", f"{root}/up", headers={}, source=source, offset=7, budget=budget)
    assert positions[-1] == len(WHOLE) - 7
    assert positions == sorted(positions)
    assert len(positions) > 1
