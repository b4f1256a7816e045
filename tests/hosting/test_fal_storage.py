import asyncio
import json
import time
from dataclasses import replace

import httpx
import pytest
import stamina
from faults import Stage, error, hang, literal, lost_reply, reset, truncated
from remote_upscale.api_clients.errors import (
    AuthenticationFailed,
    HostingFailed,
    InsufficientBalance,
    InvalidInput,
)
from remote_upscale.api_clients.files.spliced_file import Range, SplicedFile
from remote_upscale.api_clients.hosting import Hosting
from remote_upscale.api_clients.http import Http, RetryBudget
from remote_upscale.api_clients.settings import Secret

KEY = "distinctive-fal-key-8d21"
LIFE = json.dumps({"expiration_duration_seconds": 4200})


@pytest.fixture(autouse=True)
def at_once():
    """Retries without waiting."""
    with stamina.set_testing(True, attempts=4):
        yield


@pytest.fixture
async def hosting(settings):
    async with Http(settings) as http:
        yield Hosting(settings, http)


async def fetch(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        return await client.get(url)


def paths(sandbox) -> list[str]:
    return [f"{seen.method} {seen.path}" for seen in sandbox.requests if "/files/b/" not in seen.path]


async def test_a_file_goes_up_with_a_token_and_its_link_gives_it_back(hosting, sandbox, make):
    file, told = make(2_500_000), []
    hosted = await hosting.host(file.source, **file.args(), progress=lambda *a: told.append(a))
    got = await fetch(hosted.url)
    assert got.content == file.data
    assert got.headers["content-type"] == "image/png"
    assert hosted.way == "fal"
    assert hosted.expires == pytest.approx(time.time() + 4200, abs=60)
    assert hosted.url not in repr(hosted)
    assert told[-1] == (2_500_000, 2_500_000)
    token, upload = sandbox.requests[:2]
    assert (token.method, token.path) == ("POST", "/fal/rest/storage/auth/token?storage_type=fal-cdn-v3")
    assert token.headers["authorization"] == f"Key {KEY}"
    assert token.body == b"{}"
    assert (upload.method, upload.path) == ("POST", "/fal/cdn/files/upload")
    assert upload.headers["authorization"].startswith("Bearer ")
    assert upload.headers["content-length"] == "2500000"
    assert upload.headers["content-type"] == "image/png"
    assert upload.headers["x-fal-file-name"] == f"{file.digest}.png"
    assert upload.headers["x-fal-object-lifecycle"] == LIFE
    assert KEY not in str(upload.headers)


async def test_a_token_serves_many_uploads_and_is_asked_for_once(hosting, sandbox, make):
    files = [make() for _ in range(5)]
    await asyncio.gather(*(hosting.host(file.source, **file.args()) for file in files))
    assert sum("/auth/token" in path for path in paths(sandbox)) == 1
    assert sum(path.endswith("/files/upload") for path in paths(sandbox)) == 5


async def test_a_token_that_is_about_to_end_is_renewed(hosting, sandbox, make):
    soon = {
        "token": "t",
        "token_type": "Bearer",
        "base_url": sandbox.roots.fal_cdn,
        "expires_at": "2020-01-01T00:00:00Z",
    }
    sandbox.faults.add(Stage.TOKEN, literal(json.dumps(soon)))
    sandbox.faults.add(Stage.UPLOAD, error(500))
    file = make()
    await hosting.host(file.source, **file.args())
    assert sum("/auth/token" in path for path in paths(sandbox)) == 2


# Parts


def large(path, size: int) -> SplicedFile:
    """A file of mostly nothing, that is not a multiple of anything."""
    with path.open("wb") as file:
        file.truncate(size - 7)
    return SplicedFile(path, (Range(0, 50_000_000), b"between", Range(50_000_000, size - 7)))


async def test_a_large_file_goes_up_in_parts_each_tried_again(hosting, sandbox, tmp_path):
    size = (100 << 20) + 4321
    source = large(tmp_path / "large", size)
    sandbox.faults.add(Stage.UPLOAD, reset(), skip=3)
    sandbox.faults.add(Stage.UPLOAD, error(503), skip=5)
    told = []
    hosted = await hosting.host(
        source,
        name_suffix=".mp4",
        media_type="video/mp4",
        digest=await asyncio.to_thread(source.sha256),
        valid_for=600.0,
        progress=lambda *a: told.append(a),
    )
    seen = [entry for entry in sandbox.requests if "/multipart" in entry.path]
    begin, complete = seen[0], seen[-1]
    assert (begin.path, begin.length) == ("/fal/cdn/files/upload/multipart", 0)
    assert begin.headers["x-fal-object-lifecycle"] == LIFE
    assert begin.headers["content-type"] == "video/mp4"
    parts = json.loads(complete.body or b"")["parts"]
    assert [part["partNumber"] for part in parts] == list(range(1, 12))
    assert all(part["etag"] for part in parts)
    taken = [entry for entry in seen[1:-1] if entry.status == 200]
    assert len(taken) == 11
    assert len(seen) - 2 > 11
    assert sorted(entry.length for entry in taken) == [4321] + [10 << 20] * 10
    assert all(entry.headers["authorization"].startswith("Bearer ") for entry in seen)
    assert told[-1] == (size, size)
    got = await fetch(hosted.url)
    assert len(got.content) == size
    assert got.content[50_000_000:50_000_007] == b"between"


def parts_of(size: int) -> dict[str, object]:
    return {"name_suffix": ".mp4", "media_type": "video/mp4", "digest": f"{size:064}", "valid_for": 600.0}


def numbers(sandbox) -> list[int]:
    """Of the parts that the sandbox took, in order."""
    taken = [seen for seen in sandbox.requests if seen.method == "PUT" and seen.status == 200]
    return sorted(int(seen.path.rpartition("/")[2]) for seen in taken if "/multipart/" in seen.path)


async def failed_upload(settings, sandbox, source: SplicedFile) -> list[int]:
    """The parts that were through when an upload was given up."""
    sandbox.faults.add(Stage.UPLOAD, error(503), skip=5, times=None)
    async with Http(settings) as http:
        with pytest.raises(HostingFailed):
            await Hosting(settings, http).host(source, **parts_of(source.size))
    sandbox.faults.clear()
    return numbers(sandbox)


async def test_a_later_upload_goes_on_with_the_parts_that_are_through(settings, sandbox, tmp_path):
    source = large(tmp_path / "large", (100 << 20) + 4321)
    through = await failed_upload(settings, sandbox, source)
    assert len(through) == 4
    async with Http(settings) as http:
        hosted = await Hosting(settings, http).host(source, **parts_of(source.size))
    assert numbers(sandbox) == list(range(1, 12)), "each was taken once"
    begun = [path for path in paths(sandbox) if path.endswith("/files/upload/multipart")]
    assert len(begun) == 1
    assert hosted.expires == pytest.approx(time.time() + 4200, abs=60)
    assert len((await fetch(hosted.url)).content) == source.size
    assert list((settings.home / "hosting").iterdir()) == []


@pytest.mark.parametrize("damage", ["{", "[]", '{"etags": {"x": 1}}', "gone", "ended"])
async def test_an_unfinished_upload_that_is_of_no_use_begins_anew(settings, sandbox, tmp_path, damage):
    source = large(tmp_path / "large", (100 << 20) + 4321)
    await failed_upload(settings, sandbox, source)
    (kept,) = (settings.home / "hosting").iterdir()
    known = json.loads(kept.read_text())
    if damage == "gone":
        damage = json.dumps(known | {"upload_id": "other"})
    elif damage == "ended":
        damage = json.dumps(known | {"expires": time.time() + 599})
    kept.write_text(damage)
    async with Http(settings) as http:
        hosted = await Hosting(settings, http).host(source, **parts_of(source.size))
    assert len(numbers(sandbox)) == 4 + 11
    assert len((await fetch(hosted.url)).content) == source.size
    assert list((settings.home / "hosting").iterdir()) == []


async def test_an_upload_whose_last_reply_was_lost_is_not_made_twice(hosting, sandbox, tmp_path):
    source = large(tmp_path / "large", (100 << 20) + 4321)
    sandbox.faults.add(Stage.UPLOAD, lost_reply(), skip=12)
    hosted = await hosting.host(source, **parts_of(source.size))
    answers = [seen.status for seen in sandbox.requests if seen.path.endswith("/complete")]
    assert len(answers) == 2
    assert answers[1] >= 400, "it was done already"
    assert numbers(sandbox) == list(range(1, 12))
    assert not any("/initiate" in path for path in paths(sandbox))
    assert len((await fetch(hosted.url)).content) == source.size


async def test_exactly_the_limit_goes_up_whole(hosting, sandbox, tmp_path):
    source = large(tmp_path / "large", 100 << 20)
    await hosting.host(source, name_suffix=".mp4", media_type="video/mp4", digest="ab" * 32, valid_for=600.0)
    assert paths(sandbox)[1] == "POST /fal/cdn/files/upload"


# Failures


@pytest.mark.parametrize("stage", [Stage.TOKEN, Stage.UPLOAD])
@pytest.mark.parametrize(
    "fault", [error(500), error(503), error(429, retry_after=1), reset(), lost_reply(), truncated()]
)
async def test_what_passes_is_tried_again(hosting, sandbox, make, stage, fault):
    sandbox.faults.add(stage, fault)
    file = make()
    hosted = await hosting.host(file.source, **file.args())
    assert (await fetch(hosted.url)).content == file.data
    assert not any("/initiate" in path for path in paths(sandbox))


async def test_what_does_not_pass_is_a_hosting_error(hosting, sandbox, make):
    sandbox.faults.add(Stage.UPLOAD, error(500), times=None)
    file = make()
    with pytest.raises(HostingFailed, match="HTTP 500") as caught:
        await hosting.host(file.source, **file.args())
    assert caught.value.meaning.not_accepted
    assert caught.value.meaning.retryable


async def test_those_who_wait_for_a_token_share_its_attempts_and_its_failure(hosting, sandbox, make):
    sandbox.faults.add(Stage.TOKEN, error(503), times=None)
    files = [make() for _ in range(5)]
    failures = await asyncio.gather(
        *(hosting.host(file.source, **file.args()) for file in files), return_exceptions=True
    )
    assert {type(failure) for failure in failures} == {HostingFailed}
    assert [path for path in paths(sandbox) if "/auth/token" not in path] == []
    assert len(paths(sandbox)) == 4, "the attempts of one loop, whoever waits for it"


async def test_a_token_is_asked_for_again_after_a_failure(hosting, sandbox, make):
    sandbox.faults.add(Stage.TOKEN, error(503), times=4)
    file = make()
    with pytest.raises(HostingFailed):
        await hosting.host(file.source, **file.args())
    assert (await fetch((await hosting.host(file.source, **file.args())).url)).content == file.data


async def test_an_upload_token_is_hidden_once_it_is_known(hosting, sandbox, make):
    file = make()
    await hosting.host(file.source, **file.args())
    token = sandbox.requests[1].headers["authorization"].removeprefix("Bearer ")
    assert str(HostingFailed(f"{token} is not known")) == "*** is not known"


async def test_a_callback_that_raises_harms_no_upload(hosting, sandbox, make, caplog):
    def fail(done: int, total: int | None) -> None:
        raise ConnectionError("of the callback")

    file = make(3_000_000)
    hosted = await hosting.host(file.source, **file.args(), progress=fail)
    assert (await fetch(hosted.url)).content == file.data
    assert sum(path.endswith("/files/upload") for path in paths(sandbox)) == 1
    assert "A progress callback failed" in caplog.text


@pytest.mark.parametrize("size", [60_000_000, (100 << 20) + 5])
async def test_every_upload_renews_the_budget_of_its_attempts(settings, sandbox, tmp_path, monkeypatch, size):
    renewed = []
    monkeypatch.setattr(
        RetryBudget, "renew", lambda budget, real=RetryBudget.renew: renewed.append(real(budget))
    )
    source = large(tmp_path / "large", size)
    async with Http(settings) as http:
        sandbox.faults.add(Stage.UPLOAD, reset(), skip=1)
        before = len(renewed)
        await Hosting(settings, http).host(
            source, name_suffix=".mp4", media_type="video/mp4", digest="ab" * 32, valid_for=600.0
        )
    assert len(renewed) - before >= size >> 20, "once for each piece that went out"


async def test_an_upload_that_takes_too_long_is_given_up(settings, sandbox, make):
    hasty = replace(settings, time=replace(settings.time, transfer=0.2))
    sandbox.faults.add(Stage.UPLOAD, hang())
    file = make()
    async with Http(hasty) as http:
        with pytest.raises(HostingFailed, match=r"not uploaded after 0.2 s") as caught:
            await Hosting(hasty, http).host(file.source, **file.args())
    assert caught.value.meaning.not_accepted
    assert caught.value.meaning.retryable


async def test_how_long_to_wait_reaches_the_caller(hosting, sandbox, make):
    sandbox.faults.add(Stage.TOKEN, error(429, retry_after=1000))
    file = make()
    with pytest.raises(HostingFailed) as caught:
        await hosting.host(file.source, **file.args())
    assert caught.value.retry_after == 1000


@pytest.mark.parametrize("status", [400, 404, 405, 413, 422])
@pytest.mark.parametrize("stage", [Stage.TOKEN, Stage.UPLOAD])
async def test_a_refusal_leads_to_the_other_way(hosting, sandbox, make, stage, status):
    sandbox.faults.add(stage, literal('{"detail": "no"}', status=status))
    file = make()
    hosted = await hosting.host(file.source, **file.args())
    assert (await fetch(hosted.url)).content == file.data
    initiate, put = sandbox.requests[-2:]
    assert (initiate.method, initiate.path) == ("POST", "/fal/rest/storage/upload/initiate?storage_type=gcs")
    assert json.loads(initiate.body or b"") == {
        "file_name": f"{file.digest}.png",
        "content_type": "image/png",
    }
    assert initiate.headers["x-fal-object-lifecycle-preference"] == LIFE
    assert initiate.headers["authorization"] == f"Key {KEY}"
    assert put.method == "PUT"
    assert "authorization" not in put.headers
    assert put.headers["content-type"] == "image/png"


async def test_both_ways_refused_is_a_hosting_error(hosting, sandbox, make):
    sandbox.faults.add(Stage.TOKEN, literal("{}", status=404), times=None)
    sandbox.faults.add(Stage.INITIATE, literal("{}", status=400), times=None)
    file = make()
    with pytest.raises(HostingFailed, match="HTTP 400") as caught:
        await hosting.host(file.source, **file.args())
    assert not caught.value.meaning.retryable


async def test_a_wrong_key_is_said_at_once(settings, sandbox, make):
    wrong = replace(settings, keys={"fal": Secret("distinctive-wrong-key")})
    file = make()
    async with Http(wrong) as http:
        with pytest.raises(AuthenticationFailed) as caught:
            await Hosting(wrong, http).host(file.source, **file.args())
    assert "distinctive-wrong-key" not in str(caught.value)
    assert len(sandbox.requests) == 1


async def test_an_empty_balance_is_said_at_once(hosting, sandbox, make):
    locked = {"detail": "User is locked. Reason: Exhausted balance. Top up at fal.ai/dashboard/billing."}
    sandbox.faults.add(Stage.TOKEN, literal(json.dumps(locked), status=403))
    file = make()
    with pytest.raises(InsufficientBalance):
        await hosting.host(file.source, **file.args())
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    "base_url",
    ["http://example.com", "https://10.0.0.1", "http://127.0.0.1:9", "https://localhost", "x", 7, None],
)
async def test_a_token_for_a_place_that_is_not_public_is_not_used(hosting, sandbox, make, base_url):
    token = {
        "token": "distinctive-token",
        "token_type": "Bearer",
        "base_url": base_url,
        "expires_at": "2099-01-01T00:00:00Z",
    }
    sandbox.faults.add(Stage.TOKEN, literal(json.dumps(token)))
    file = make()
    hosted = await hosting.host(file.source, **file.args())
    assert (await fetch(hosted.url)).content == file.data
    assert not any("distinctive-token" in str(seen.headers) for seen in sandbox.requests)


async def test_parts_are_not_sent_to_a_place_that_the_token_is_not_for(hosting, sandbox, tmp_path):
    elsewhere = {"access_url": "https://files.example.com/b/x", "uploadId": "u"}
    sandbox.faults.add(Stage.UPLOAD, literal(json.dumps(elsewhere)))
    source = large(tmp_path / "large", (100 << 20) + 1)
    hosted = await hosting.host(
        source, name_suffix=".mp4", media_type="video/mp4", digest="ab" * 32, valid_for=600.0
    )
    assert hosted.url.startswith(sandbox.roots.fal_cdn)
    assert any("/initiate" in path for path in paths(sandbox))


@pytest.mark.parametrize(
    "body",
    [
        '{"upload_url": "http://10.0.0.1/x", "file_url": "https://a.example/x"}',
        "{}",
        "[]",
        "<html>",
        '{"upload_url": 1}',
    ],
)
async def test_an_upload_link_that_is_not_public_is_not_used(hosting, sandbox, make, body):
    sandbox.faults.add(Stage.TOKEN, literal("{}", status=404))
    sandbox.faults.add(Stage.INITIATE, literal(body), times=None)
    file = make()
    with pytest.raises(HostingFailed):
        await hosting.host(file.source, **file.args())


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "https://192.168.0.1/x", "javascript:1"])
async def test_a_link_that_no_provider_could_fetch_is_refused(hosting, sandbox, make, url):
    sandbox.faults.add(Stage.UPLOAD, literal(json.dumps({"access_url": url})))
    file = make()
    with pytest.raises(HostingFailed, match="refused"):
        await hosting.host(file.source, **file.args())


async def test_a_file_that_is_gone_is_told_apart_from_fal(hosting, sandbox, make):
    file = make()
    source = file.source
    file.path.unlink()
    with pytest.raises(InvalidInput, match="does not exist"):
        await hosting.host(source, **file.args())


# Once


async def test_those_who_host_the_same_bytes_at_once_share_one_upload(hosting, sandbox, make):
    file = make()
    hosted = await asyncio.gather(*(hosting.host(file.source, **file.args()) for _ in range(6)))
    assert len({one.url for one in hosted}) == 1
    assert sum(path.endswith("/files/upload") for path in paths(sandbox)) == 1


async def test_the_same_bytes_are_uploaded_once_across_processes(settings, sandbox, make):
    file, links = make(), set()
    for _ in range(3):
        async with Http(settings) as http:
            links.add((await Hosting(settings, http).host(file.source, **file.args())).url)
    assert len(links) == 1
    assert sum(path.endswith("/files/upload") for path in paths(sandbox)) == 1
    assert KEY not in (settings.home / "hosted.json").read_text()


async def test_other_bytes_types_and_places_are_uploaded_for_themselves(settings, hosting, sandbox, make):
    file, other = make(), make()
    await hosting.host(file.source, **file.args())
    await hosting.host(other.source, **other.args())
    await hosting.host(file.source, **file.args(media_type="image/webp"))
    assert sum(path.endswith("/files/upload") for path in paths(sandbox)) == 3


async def test_a_link_that_would_end_too_soon_is_not_used_again(hosting, sandbox, make):
    file = make()
    await hosting.host(file.source, **file.args(valid_for=600.0))
    await hosting.host(file.source, **file.args(valid_for=4300.0))
    assert sum(path.endswith("/files/upload") for path in paths(sandbox)) == 2


@pytest.mark.parametrize("damage", ["{", "[]", '{"x": 1}'])
async def test_a_damaged_record_costs_one_more_upload(settings, hosting, sandbox, make, damage):
    file = make()
    await hosting.host(file.source, **file.args())
    (settings.home / "hosted.json").write_text(damage)
    await hosting.host(file.source, **file.args())
    await hosting.host(file.source, **file.args())
    assert sum(path.endswith("/files/upload") for path in paths(sandbox)) == 2


async def test_a_link_that_does_not_work_any_more_is_replaced(settings, hosting, sandbox, make):
    file = make()
    first = await hosting.host(file.source, **file.args())
    record = settings.home / "hosted.json"
    record.write_text(record.read_text().replace("/files/b/", "/files/b/gone-"))
    second = await hosting.host(file.source, **file.args())
    assert second.url != first.url
    assert (await fetch(second.url)).content == file.data
    assert second.url in record.read_text()


async def test_cancelling_one_of_two_leaves_the_other_its_upload(hosting, sandbox, make):
    file = make(3_000_000)
    begun = asyncio.Event()
    first = asyncio.create_task(hosting.host(file.source, **file.args(), progress=lambda *a: begun.set()))
    second = asyncio.create_task(hosting.host(file.source, **file.args()))
    await begun.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await fetch((await second).url)).content == file.data
    assert sum(path.endswith("/files/upload") for path in paths(sandbox)) == 1
