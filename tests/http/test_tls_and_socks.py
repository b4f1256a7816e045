"""What the environment says of certificates and SOCKS proxies, against real servers on loopback."""

import datetime
import ssl
import subprocess

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from remote_upscale.api_clients.errors import InvalidParameter, ProviderUnavailable
from remote_upscale.api_clients.http import Http
from remote_upscale.api_clients.http_messages import Request
from remote_upscale.api_clients.settings import Settings
from socks_proxy import SocksProxy

HOST = "gateway.pixazo.ai"
ROOT = f"https://{HOST}"


@pytest.fixture
def certificate(tmp_path):
    """A certificate for the host, with its key in one file, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, clear = serialization.Encoding.PEM, serialization.NoEncryption()
    path = tmp_path / "both.pem"
    path.write_bytes(
        made.public_bytes(encoding) + key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, clear)
    )
    return path


@pytest.fixture
async def port(net, certificate):
    """Where a server has that certificate."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.host}{request.path}")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return int((await net.serve(handler, ssl_context=context)).rpartition(":")[2])


async def ask(net):
    http = await net.http()
    return (await http.call(Request("GET", f"{ROOT}/x"), root=ROOT, auth={})).body.decode()


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks"])
async def test_requests_go_through_a_socks_proxy(net, port, certificate, monkeypatch, variable, scheme):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with SocksProxy(port, user=("me", "p@ss")) as proxy:
        monkeypatch.setenv(variable, f"{scheme}://me:p%40ss@127.0.0.1:{proxy.port}")
        assert await ask(net) == f"{HOST}/x"
        assert proxy.asked == [(HOST, 443)]
        assert proxy.login == [("me", "p@ss")]


async def test_a_name_that_no_proxy_names_is_not_asked_of_it(net, port, monkeypatch):
    async with SocksProxy(port) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", ".invalid,pixazo.invalid")
        root = "https://pixazo.invalid"
        http = await net.http(root)
        with pytest.raises(ProviderUnavailable, match="name cannot be resolved"):
            await http.call(Request("GET", f"{root}/x"), root=root, auth={})
        assert proxy.asked == []


@pytest.mark.parametrize(
    ("options", "words"), [({"answer": 5}, "the proxy says: "), ({"user": ("a", "b")}, "the proxy says: ")]
)
async def test_what_a_socks_proxy_refuses_was_never_sent(net, port, monkeypatch, options, words):
    async with SocksProxy(port, **options) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5://x:y@127.0.0.1:{proxy.port}")
        with pytest.raises(ProviderUnavailable, match=words) as caught:
            await ask(net)
    assert caught.value.meaning.not_accepted


async def test_a_socks_proxy_that_is_away_was_never_sent_the_request(net, port, monkeypatch):
    async with SocksProxy(port) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.port}")
    with pytest.raises(ProviderUnavailable, match="the proxy cannot be reached") as caught:
        await ask(net)
    assert caught.value.meaning.not_accepted


async def test_a_certificate_behind_a_socks_proxy_is_checked(net, port, monkeypatch):
    async with SocksProxy(port) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.port}")
        with pytest.raises(ProviderUnavailable, match="certificate or encryption") as caught:
            await ask(net)
    assert caught.value.meaning.not_accepted


def unusable(path):
    """Names that are none of files, or folders, of certificates."""
    (path / "empty").mkdir()
    (path / "unhashed").mkdir()
    (path / "unhashed" / "a.pem").write_text("x")
    (path / "text.pem").write_text("hello")
    return {
        "SSL_CERT_FILE": [path / "absent.pem", path / "empty", path / "text.pem"],
        "SSL_CERT_DIR": [path / "absent", path / "empty", path / "unhashed", path / "text.pem"],
    }


async def test_certificates_that_cannot_be_used_are_named(tmp_path, monkeypatch):
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, values in unusable(tmp_path).items():
        for value in values:
            with monkeypatch.context() as patch:
                patch.setenv(name, str(value))
                with pytest.raises(InvalidParameter, match=f"{name} names {value}"):
                    async with Http(Settings(home=tmp_path)) as http:
                        http.check_certificates()


@pytest.fixture
def hashed(tmp_path, certificate):
    """A folder of certificates as OpenSSL wants it."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    command = ["openssl", "x509", "-hash", "-noout", "-in", certificate]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("needs the program openssl")
    (folder / f"{done.stdout.strip()}.0").write_bytes(certificate.read_bytes())
    return folder


async def test_a_folder_of_certificates_counts(net, port, hashed, tmp_path, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'absent'}:{hashed}")
    async with SocksProxy(port) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.port}")
        assert await ask(net) == f"{HOST}/x"
