import asyncio
import datetime
import gzip
import logging
import ssl
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from remote_upscale.api_clients.errors import (
    AuthenticationFailed,
    BadResponse,
    InvalidParameter,
    ProviderUnavailable,
    RemoteUpscaleError,
    TimedOut,
)
from remote_upscale.api_clients.http_messages import Request

KEY = {"X-Key": "distinctive-key-4711"}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.decode().lower().split("\r\n"):
        if line.startswith("content-length:"):
            return head + await reader.readexactly(int(line.partition(":")[2]))
    return head


def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def test_a_request_arrives_as_it_is_and_the_reply_comes_back(net):
    seen = {}

    async def handler(request: web.Request) -> web.Response:
        seen.update(
            path=request.raw_path, method=request.method, headers=request.headers, body=await request.read()
        )
        return web.Response(status=418, text="tea", headers={"X-Mixed-Case": "Yes"})

    root = await net.serve(handler)
    http = await net.http(root)
    reply = await http.call(Request.post_json(f"{root}/v1/go?a=b%2Fc", {"x": "ä"}), root=root, auth=KEY)
    assert (reply.status, reply.body, reply.headers["x-mixed-case"]) == (418, b"tea", "Yes")
    assert seen["method"] == "POST"
    assert seen["body"] == '{"x":"ä"}'.encode()
    assert seen["headers"]["X-Key"] == KEY["X-Key"]
    assert seen["headers"]["Content-Type"] == "application/json"


async def test_a_large_body_arrives_whole_and_with_its_length(net):
    async def handler(request: web.Request) -> web.Response:
        return web.json_response([request.headers.get("Content-Length"), len(await request.read())])

    root = await net.serve(handler)
    http = await net.http(root)
    reply = await http.call(Request("POST", f"{root}/x", {}, b"y" * 3_000_001), root=root, auth=KEY)
    assert reply.json() == ["3000001", 3000001]


@pytest.mark.parametrize("path", ["https://evil.example/x", "/../x", "/%2e%2e/x", None])
async def test_the_key_goes_nowhere_but_under_its_root(net, path):
    hits = []

    async def handler(request: web.Request) -> web.Response:
        hits.append(request)
        return web.Response()

    root = await net.serve(handler)
    other = await net.serve(handler)
    http = await net.http(root)
    url = other + "/x" if path is None else path if "://" in path else f"{root}/api{path}"
    with pytest.raises(BadResponse) as caught:
        await http.call(Request("GET", url), root=f"{root}/api", auth=KEY)
    assert caught.value.meaning.not_accepted
    assert not hits


async def test_a_root_that_is_not_configured_must_pass_the_guard(net):
    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    http = await net.http()
    other = await net.serve(handler)
    with pytest.raises(BadResponse, match="refused"):
        await http.call(Request("GET", f"{other}/x"), root=other, auth=KEY)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(net, status):
    hits = []

    async def handler(request: web.Request) -> web.Response:
        hits.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    root = await net.serve(handler)
    http = await net.http(root)
    reply = await http.call(Request("POST", f"{root}/x", {}, b"{}"), root=root, auth=KEY)
    assert reply.status == status
    assert hits == ["/x"]


async def test_cookies_are_not_kept(net):
    cookies = []

    async def handler(request: web.Request) -> web.Response:
        cookies.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "session=1; Path=/"})

    root = await net.serve(handler)
    http = await net.http(root)
    for _ in range(2):
        await http.call(Request("GET", f"{root}/x"), root=root, auth={})
    assert cookies == [None, None]


async def test_passwords_of_a_netrc_file_are_not_sent(net, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("default login someone password distinctive-9911\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response()

    root = await net.serve(handler)
    http = await net.http(root)
    await http.call(Request("GET", f"{root}/x"), root=root, auth={})
    assert seen == [None]


@pytest.mark.parametrize("key", ["a\nb", "a\r\nX: y", "schlüssel", "“key”", "a\0b"])
async def test_a_key_that_cannot_be_one_is_refused_before_anything_is_sent(net, key):
    http = await net.http("http://127.0.0.1:9")
    with pytest.raises(AuthenticationFailed) as caught:
        await http.call(
            Request("GET", "http://127.0.0.1:9/x"), root="http://127.0.0.1:9", auth={"X-Key": key}
        )
    assert caught.value.meaning.not_accepted
    assert key not in str(caught.value)


async def test_a_connection_is_used_again(net):
    ports = set()

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername"))
        return web.Response(text="x")

    root = await net.serve(handler)
    http = await net.http(root)
    for _ in range(3):
        await http.call(Request("GET", f"{root}/x"), root=root, auth=KEY)
    assert len(ports) == 1


# What was certainly never sent, and what may have been


async def unused_root(net) -> str:
    async def silent(reader, writer):
        pass

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return f"http://127.0.0.1:{port}"


async def failure(net, root: str, method: str = "POST", **limits: float) -> RemoteUpscaleError:
    http = await net.http(root, **limits)
    with pytest.raises(RemoteUpscaleError) as caught:
        await http.call(Request(method, f"{root}/x?sig=secret", {}, b"{}"), root=root, auth=KEY)
    assert "secret" not in str(caught.value)
    assert KEY["X-Key"] not in repr(caught.value) + str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


async def test_a_refused_connection_was_never_sent(net):
    error = await failure(net, await unused_root(net))
    assert isinstance(error, ProviderUnavailable)
    assert error.meaning.not_accepted
    assert error.meaning.retryable


async def test_a_name_that_does_not_exist_was_never_sent(net):
    error = await failure(net, "http://name.invalid:81")
    assert isinstance(error, ProviderUnavailable)
    assert error.meaning.not_accepted
    assert "name cannot be resolved" in error.message


async def test_a_certificate_that_is_not_trusted_was_never_sent(net, tmp_path):
    hits = []

    async def handler(request: web.Request) -> web.Response:
        hits.append(request)
        return web.Response()

    error = await failure(net, await net.serve(handler, ssl_context=untrusted(tmp_path)))
    assert isinstance(error, ProviderUnavailable)
    assert error.meaning.not_accepted
    assert not error.meaning.retryable
    assert "certificate" in error.message
    assert not hits


async def test_a_server_that_speaks_no_tls_was_never_sent_the_request(net):
    heard = []

    async def talk(reader, writer):
        heard.append(await reader.read(3))
        writer.write(b"HTTP/1.1 400 Bad\r\n\r\n")

    root = (await net.talk(talk)).replace("http:", "https:")
    error = await failure(net, root)
    assert error.meaning.not_accepted
    assert heard[0][:1] == b"\x16"


@pytest.mark.parametrize("read_first", [True, False])
async def test_a_connection_that_breaks_after_it_was_made_may_have_been_accepted(net, read_first):
    async def talk(reader, writer):
        if read_first:
            await read_request(reader)
        reset(writer)

    error = await failure(net, await net.talk(talk))
    assert isinstance(error, ProviderUnavailable)
    assert not error.meaning.not_accepted
    assert error.meaning.retryable


async def test_a_connection_that_is_closed_without_a_reply_may_have_been_accepted(net):
    async def talk(reader, writer):
        await read_request(reader)

    error = await failure(net, await net.talk(talk))
    assert isinstance(error, ProviderUnavailable)
    assert not error.meaning.not_accepted


async def test_a_post_is_never_sent_twice_on_its_own(net):
    requests = []

    async def talk(reader, writer):
        requests.append(await read_request(reader))
        if len(requests) == 1:
            writer.write(OK)
            requests.append(await read_request(reader))
        reset(writer)

    root = await net.talk(talk)
    http = await net.http(root)
    post = Request("POST", f"{root}/x", {}, b"{}")
    await http.call(post, root=root, auth=KEY)
    with pytest.raises(ProviderUnavailable) as caught:
        await http.call(post, root=root, auth=KEY)
    assert not caught.value.meaning.not_accepted
    assert len(requests) == 2


TRUNCATED = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Le",
    b"HTTP/1.1 2",
]


@pytest.mark.parametrize("reply", TRUNCATED)
async def test_a_reply_that_ends_early_is_a_lost_reply(net, reply):
    async def talk(reader, writer):
        await read_request(reader)
        writer.write(reply)

    error = await failure(net, await net.talk(talk))
    assert isinstance(error, (ProviderUnavailable, BadResponse))
    assert error.meaning.retryable
    assert not error.meaning.not_accepted


MALFORMED = [
    b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    b"HTTP/1.1 abc OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: 2\r\n\r\n{}",
    b"\0\1\2\3\r\n\r\n",
]


@pytest.mark.parametrize("reply", MALFORMED)
async def test_what_is_not_http_is_a_bad_response(net, reply):
    async def talk(reader, writer):
        await read_request(reader)
        writer.write(reply)

    error = await failure(net, await net.talk(talk))
    assert isinstance(error, BadResponse) or (isinstance(error, ProviderUnavailable) and b"chunked" in reply)
    assert not error.meaning.not_accepted


@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda tail: b"HTTP/1.1 200 OK\r\n" + tail))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_reply_or_one_of_our_errors(net_bytes, reply):
    net_bytes(reply)


@pytest.fixture
def net_bytes(tmp_path):
    from remote_upscale.api_clients.http import Http
    from remote_upscale.api_clients.settings import Roots, Settings

    async def exchange(reply: bytes) -> None:
        async def talk(reader, writer):
            await read_request(reader)
            writer.write(reply)
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        root = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, Http(Settings(home=tmp_path, roots=Roots(pixazo=root))) as http:
            failures = []
            try:
                await http.call(Request("POST", f"{root}/x"), root=root, auth={})
            except RemoteUpscaleError as error:
                failures.append(error)
            assert not any(error.meaning.not_accepted for error in failures)

    return lambda reply: asyncio.run(exchange(reply))


# Time


@pytest.mark.parametrize(
    "start", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]
)
async def test_a_silent_server_is_given_up(net, start):
    done = asyncio.Event()

    async def talk(reader, writer):
        await read_request(reader)
        writer.write(start)
        await done.wait()

    error = await failure(net, await net.talk(talk), idle=0.2)
    done.set()
    assert isinstance(error, TimedOut)
    assert error.meaning.retryable
    assert not error.meaning.not_accepted


async def test_a_server_that_takes_no_bytes_is_given_up(net):
    done = asyncio.Event()

    async def talk(reader, writer):
        await done.wait()

    root = await net.talk(talk)
    http = await net.http(root, idle=0.3)
    with pytest.raises(TimedOut):
        await http.call(Request("POST", f"{root}/x", {}, bytes(30_000_000)), root=root, auth=KEY)
    done.set()


async def test_a_slow_reply_that_keeps_coming_is_waited_for(net):
    async def talk(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.1)

    root = await net.talk(talk)
    http = await net.http(root, idle=0.5)
    reply = await http.call(Request("GET", f"{root}/x"), root=root, auth=KEY)
    assert reply.body == b"x" * 8


async def test_cancelling_ends_the_request(net):
    gone = asyncio.Event()
    begun = asyncio.Event()

    async def talk(reader, writer):
        await read_request(reader)
        begun.set()
        await reader.read()
        gone.set()

    root = await net.talk(talk)
    http = await net.http(root)
    task = asyncio.create_task(http.call(Request("GET", f"{root}/x"), root=root, auth=KEY))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(gone.wait(), 10)


# Size


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_reply_above_the_limit_is_refused(net, chunked):
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if not chunked:
            response.content_length = 2001
        await response.prepare(request)
        await response.write(b"x" * 2001)
        return response

    root = await net.serve(handler)
    http = await net.http(root, reply_bytes=2001)
    request = Request("GET", f"{root}/x")
    assert len((await http.call(request, root=root, auth=KEY)).body) == 2001
    with pytest.raises(BadResponse, match="more than 2,000 bytes"):
        await http.call(request, root=root, auth=KEY, limit=2000)


async def test_a_compressed_reply_is_bounded_after_decompression(net):
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 60_000

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    root = await net.serve(handler)
    http = await net.http(root)
    with pytest.raises(BadResponse, match="more than 100,000 bytes"):
        await http.call(Request("GET", f"{root}/x"), root=root, auth=KEY, limit=100_000)
    assert len((await http.call(Request("GET", f"{root}/x"), root=root, auth=KEY)).body) == 50_000_000


# Logs


async def test_links_and_keys_are_not_logged(net, caplog):
    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    root = await net.serve(handler)
    http = await net.http(root)
    with caplog.at_level(logging.DEBUG):
        await http.call(Request("GET", f"{root}/secret-path?sig=secret-query"), root=root, auth=KEY)
    assert "GET 127.0.0.1 200" in caplog.text
    assert "secret" not in caplog.text
    assert KEY["X-Key"] not in caplog.text


async def test_the_requests_of_others_are_logged_by_httpx_as_before(net, caplog):
    import httpx

    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    root = await net.serve(handler)
    await net.http(root)
    with caplog.at_level(logging.INFO, logger="httpx"):
        async with httpx.AsyncClient() as theirs:
            await theirs.get(f"{root}/theirs")
    assert "/theirs" in caplog.text


async def test_certificates_that_cannot_be_read_are_told_before_anything_is_sent(net, monkeypatch):
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="no certificate was asked for")

    root = await net.serve(handler)
    monkeypatch.setenv("SSL_CERT_FILE", "/missing/ca.pem")
    http = await net.http(root)
    assert (await http.call(Request("GET", f"{root}/v1"), root=root, auth=KEY)).status == 200
    error = await failure(net, "https://gateway.pixazo.ai")
    assert isinstance(error, InvalidParameter)
    assert error.meaning.not_accepted
    assert "SSL_CERT_FILE names /missing/ca.pem" in error.message


# Proxies


async def test_a_proxy_gets_a_tunnel_request_and_its_password_but_no_key(net, monkeypatch):
    asked = []

    async def talk(reader, writer):
        asked.append(await read_request(reader))
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    proxy = await net.talk(talk)
    monkeypatch.setenv("HTTPS_PROXY", proxy.replace("//", "//user:p%40ss@"))
    error = await failure(net, "https://gateway.pixazo.ai")
    assert isinstance(error, ProviderUnavailable)
    assert error.meaning.not_accepted
    assert "407" in error.message
    assert asked[0].startswith(b"CONNECT gateway.pixazo.ai:443 ")
    assert b"proxy-authorization: basic dxnlcjpwqhnz" in asked[0].lower()
    assert KEY["X-Key"].encode() not in asked[0]


async def test_a_proxy_that_is_away_was_never_sent_the_request(net, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", await unused_root(net))
    error = await failure(net, "https://gateway.pixazo.ai")
    assert error.meaning.not_accepted
    assert "proxy" in error.message


async def test_loopback_and_no_proxy_go_past_the_proxy(net, monkeypatch):
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="direct")

    proxied = []

    async def talk(reader, writer):
        proxied.append(await read_request(reader))

    monkeypatch.setenv("HTTP_PROXY", await net.talk(talk))
    monkeypatch.setenv("HTTPS_PROXY", await net.talk(talk))
    monkeypatch.setenv("NO_PROXY", "name.invalid")
    root = await net.serve(handler)
    http = await net.http(root)
    assert (await http.call(Request("GET", f"{root}/x"), root=root, auth={})).body == b"direct"
    assert "name cannot be resolved" in (await failure(net, "https://name.invalid")).message
    assert not proxied


@pytest.mark.parametrize("proxy", ["http://", "nonsense://x", "'http://127.0.0.1:1"])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
async def test_a_proxy_that_cannot_be_used_is_named_when_it_is_needed(net, monkeypatch, proxy, variable):
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="direct")

    monkeypatch.setenv(variable, proxy)
    root = await net.serve(handler)
    http = await net.http(root)
    assert (await http.call(Request("GET", f"{root}/x"), root=root, auth={})).body == b"direct"
    error = await failure(net, "https://gateway.pixazo.ai")
    assert isinstance(error, InvalidParameter)
    assert variable in error.message


def untrusted(folder: Path) -> ssl.SSLContext:
    """A server's side of TLS with a certificate that nobody signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, key_pem = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key_pem)
    return context
