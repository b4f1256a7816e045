"""Where names lead. The resolver and the connection are stood in for: nothing is ever connected to."""

from __future__ import annotations

import socket
from ipaddress import ip_network

import aiohttp
import pytest
from remote_upscale.api_clients.engine import Engine, Job
from remote_upscale.api_clients.errors import BadResponse, InvalidParameter, ProviderUnavailable
from remote_upscale.api_clients.http import Http, PartialFile
from remote_upscale.api_clients.providers.client import ProviderClient
from remote_upscale.api_clients.providers.fal import Fal
from remote_upscale.api_clients.registry import find_model
from remote_upscale.api_clients.roots import Roots
from remote_upscale.api_clients.settings import Secret, Settings, TimeLimits

FAKE, NAT = "198.18.0.7", "100.64.3.2"
RANGES = {FAKE: "198.18.0.0/15", NAT: "100.64.0.0/10"}


@pytest.fixture
def leads_to(monkeypatch):
    """Makes every name lead to an address; gives the names that were looked up, and what was connected to."""
    looked_up, connected = [], []

    def lead(address):
        async def resolve(_self, host, port=0, family=socket.AF_UNSPEC):
            looked_up.append(host)
            if address is None:
                raise OSError("no network")
            return [{"hostname": host, "host": address, "port": port, "family": 2, "proto": 6, "flags": 0}]

        async def connect(_self, *_args, addr_infos, **_kwargs):
            connected.append(addr_infos[0][4][0])
            raise OSError("stood in for")

        monkeypatch.setattr(aiohttp.DefaultResolver, "resolve", resolve)
        monkeypatch.setattr(aiohttp.TCPConnector, "_wrap_create_connection", connect)
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        return looked_up, connected

    return lead


def made(tmp_path, *ranges, **roots):
    return Settings(
        home=tmp_path / "home",
        keys={"fal": Secret("a:b")},
        roots=Roots(**roots),
        names_may_lead_to=tuple(map(ip_network, ranges)),
        time=TimeLimits(retry=0.1, idle=2),
    )


@pytest.mark.parametrize(("address", "words"), [(FAKE, "fake-IP DNS"), (NAT, "carrier")])
async def test_the_first_job_notices_it_before_anything_is_sent(leads_to, tmp_path, photo, address, words):
    _, connected = leads_to(address)
    async with Engine.open(made(tmp_path)) as engine:
        with pytest.raises(
            ProviderUnavailable, match=rf"queue\.fal\.run leads to .* not public \({address}"
        ) as caught:
            await engine.run(Job(model=find_model("fal/seedvr2-image"), parameters={}, source=photo))
        assert words in caught.value.message
        assert f'names_may_lead_to = ["{RANGES[address]}"]' in caught.value.hint
        assert caught.value.meaning.not_accepted
        assert engine.ledger.sync.jobs() == []
    assert connected == []


async def check(settings):
    async with Http(settings) as http:
        await ProviderClient(settings.provider(Fal), settings, http).check_names()


@pytest.mark.parametrize("address", [FAKE, NAT])
async def test_a_range_that_is_named_is_let_pass(leads_to, tmp_path, address):
    looked_up, _ = leads_to(address)
    await check(made(tmp_path, RANGES[address]))
    assert looked_up == ["queue.fal.run"]


async def test_another_range_is_not(leads_to, tmp_path):
    leads_to(FAKE)
    with pytest.raises(ProviderUnavailable):
        await check(made(tmp_path, RANGES[NAT], "10.0.0.0/8"))


async def test_where_a_cloud_hands_out_credentials_no_name_may_lead(leads_to, tmp_path):
    leads_to("100.100.100.200")
    with pytest.raises(ProviderUnavailable):
        await check(made(tmp_path, RANGES[NAT]))


async def test_what_cannot_be_allowed_is_not_offered(leads_to, tmp_path):
    leads_to("0.0.0.0")
    with pytest.raises(ProviderUnavailable, match="not public") as caught:
        await check(made(tmp_path))
    assert "names_may_lead_to" not in caught.value.hint


@pytest.mark.parametrize("address", ["8.8.8.8", None])
async def test_public_names_and_those_that_cannot_be_looked_up_pass(leads_to, tmp_path, address):
    leads_to(address)
    await check(made(tmp_path))


@pytest.mark.parametrize("address", ["10.1.2.3", NAT, "127.0.0.1"])
async def test_a_gateway_of_ones_own_may_be_in_a_private_network(leads_to, tmp_path, address):
    leads_to(address)
    await check(made(tmp_path, fal_queue="https://gateway.example"))


async def test_a_gateway_at_an_address_that_is_made_up_is_noticed(leads_to, tmp_path):
    leads_to(FAKE)
    with pytest.raises(ProviderUnavailable, match=r"gateway\.example"):
        await check(made(tmp_path, fal_queue="https://gateway.example"))


async def test_a_proxy_looks_names_up_itself(leads_to, tmp_path, monkeypatch):
    looked_up, _ = leads_to(FAKE)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    await check(made(tmp_path))
    assert looked_up == []


async def follow(settings, link):
    """Fetch a result's link; what is raised is what came of it."""
    async with Http(settings) as http:
        with PartialFile.open(settings.home / "partial" / "x") as partial:
            await http.download(link, partial, max_bytes=1000)


async def test_a_link_is_followed_into_a_range_that_is_named_and_into_no_other(leads_to, tmp_path):
    _, connected = leads_to(FAKE)
    with pytest.raises(BadResponse, match="fake-IP DNS"):
        await follow(made(tmp_path), "https://cdn.example/a.png")
    assert connected == []
    with pytest.raises(ProviderUnavailable):
        await follow(made(tmp_path, RANGES[FAKE]), "https://cdn.example/a.png")
    assert set(connected) == {FAKE}


async def test_a_literal_address_stays_refused(leads_to, tmp_path):
    _, connected = leads_to(FAKE)
    for host in (FAKE, NAT):
        with pytest.raises(BadResponse, match="not a public address"):
            await follow(made(tmp_path, *RANGES.values()), f"https://{host}/a.png")
    assert connected == []


def test_ranges_are_read_from_the_settings(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text('[network]\nnames_may_lead_to = ["198.18.0.0/15", "fdfe:dcba:9876::/64"]\n')
    ranges = Settings.load({}, home=tmp_path).names_may_lead_to
    assert ranges == (ip_network("198.18.0.0/15"), ip_network("fdfe:dcba:9876::/64"))


@pytest.mark.parametrize(
    "line",
    [
        *('"198.18.0.0/15"', "[1]", '["nonsense"]', '["198.18.0.1/15"]', '["127.0.0.0/8"]', '["0.0.0.0/0"]'),
        *('["169.254.169.254"]', '["::/0"]', '["::1"]', '["fe80::/10"]', '["::ffff:127.0.0.1"]'),
    ],
)
def test_ranges_that_cannot_be_are_refused(tmp_path, line):
    (tmp_path / "settings.toml").write_text(f"[network]\nnames_may_lead_to = {line}\n")
    with pytest.raises(InvalidParameter, match="names_may_lead_to"):
        Settings.load({}, home=tmp_path)
