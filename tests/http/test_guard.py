import ipaddress
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from remote_upscale.api_clients.errors import BadResponse
from remote_upscale.api_clients.http.guard import check_link, is_public
from remote_upscale.api_clients.settings import Roots

ROOTS = Roots().all()
SANDBOX = (*ROOTS, "http://127.0.0.1:8765/apixo", "http://localhost:9000", "https://[::1]:7000")

PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:800::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:0808:0808::1",
]
NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2130706433",
    "0x7f.1",
    "127.1",
    "0177.0.0.1",
    "localhost",
    "",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_public(address):
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_any_other_address_is_not(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "link",
    [
        "https://v3.fal.media/files/b/kangaroo/out.png",
        "https://bucket_a.s3.amazonaws.com/a%2Fb.png?X-Amz-Signature=a%2Bb&x=1",
        "HTTPS://CDN.example.com:8443/x",
        "https://example.com",
        "https://example.com./x",
        "https://8.8.8.8/x",
        "https://[2606:4700:4700::1111]/x",
        "https://[2606:4700:4700::1111]:444/x",
    ],
)
def test_an_https_link_to_a_public_host_passes(link):
    check_link(link, ROOTS)


REFUSED = [
    "http://example.com/x",
    "ftp://example.com/x",
    "file:///etc/passwd",
    "//example.com/x",
    "example.com/x",
    "https:///x",
    "https://",
    "",
    "https://user@example.com/x",
    "https://user:secret@example.com/x",
    "https://example.com@127.0.0.1/x",
    "https://127.0.0.1#@example.com/",
    "https://example.com\\@127.0.0.1/",
    "https://example.com:0/x",
    "https://example.com:65536/x",
    "https://example.com:99999999999/x",
    "https://exa mple.com/x",
    "https://example.com/x\r\nHost: a",
    "https://exämple.com/x",
    "https://127。0。0。1/x",
    "https://localhost/x",
    "https://localhost./x",
    "https://LOCALHOST/x",
    "https://a.localhost/x",
    "https://printer.local/x",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://intranet/x",
    "https://./x",
    "https://127.0.0.1/x",
    "https://127.0.0.1./x",
    "https://127.1/x",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://0x7f.0.0.1/x",
    "https://0177.0.0.1/x",
    "https://8.8.8.8.0x8/x",
    "https://010.8.8.8/x",
    "https://8.8.8.256/x",
    "https://8.8.8/x",
    "https://[::1]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://[64:ff9b::a00:1]/x",
    "https://[fe80::1%25eth0]/x",
    "https://[v1.abc]/x",
    "https://[::1/x",
    "https://%31%32%37.0.0.1/x",
    "https://example.com/" + "a" * 20_000,
]


@pytest.mark.parametrize("link", [*REFUSED, *(f"https://[{a}]/" for a in NOT_PUBLIC if ":" in a)])
def test_every_other_link_is_refused(link):
    with pytest.raises(BadResponse) as caught:
        check_link(link, ROOTS)
    assert caught.value.hint
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.1:8765/files/x?sig=1",
        "http://localhost:9000",
        "http://LOCALHOST:9000/x",
        "https://[::1]:7000/x",
    ],
)
def test_a_link_on_a_configured_loopback_root_passes(link):
    check_link(link, SANDBOX)


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.1:8766/x",
        "http://127.0.0.1/x",
        "https://127.0.0.1:8765/x",
        "http://127.0.0.2:8765/x",
        "http://localhost:8765/x",
        "http://127.0.0.1:9000/x",
        "http://[::1]:8765/x",
        "http://[::1]:7000/x",
        "http://a@127.0.0.1:8765/x",
        "http://192.168.0.1:8765/x",
    ],
)
def test_the_exception_is_for_exactly_that_scheme_host_and_port(link):
    with pytest.raises(BadResponse):
        check_link(link, SANDBOX)


@pytest.mark.parametrize("root", ["http://192.168.1.5:80", "https://10.0.0.1/api"])
def test_a_private_root_that_is_not_loopback_makes_no_exception(root):
    with pytest.raises(BadResponse):
        check_link(f"{root}/x", [root])


@given(st.text() | st.from_regex(r"https?://[^/]*(/.*)?"))
@example("https://[")
@example("https://a:b/")
@example("\ud800")
def test_any_text_passes_or_is_refused(link):
    with suppress(BadResponse):
        check_link(link, SANDBOX)


@given(st.ip_addresses(v=4))
def test_ipv4_inside_ipv6_counts_as_what_it_carries(address):
    number = int(address)
    for outer in (0xFFFF << 32 | number, 0x0064_FF9B << 96 | number, 0x2002 << 112 | number << 80):
        assert is_public(ipaddress.IPv6Address(outer)) == is_public(address)


@given(st.ip_addresses())
def test_what_python_knows_as_private_is_never_public(address):
    if address.version == 6 and (
        address.ipv4_mapped or address.sixtofour or address in ipaddress.ip_network("64:ff9b::/96")
    ):
        return
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert not is_public(address)
