"""fal's storage: the ways of uploading, byte for byte, and what they refuse."""

import asyncio
import hashlib
from datetime import datetime

import pytest
from faults import Stage, error

KEY = {"Authorization": "Key key"}
CONTENT = bytes(range(256)) * 3000


@pytest.fixture
async def token(sandbox, client):
    address = f"{sandbox.roots.fal_rest}/storage/auth/token?storage_type=fal-cdn-v3"
    return (await client.post(address, headers=KEY, json={})).json()


@pytest.fixture
def headers(token):
    return {"Authorization": f"{token['token_type']} {token['token']}", "Content-Type": "image/png"}


async def test_the_token_has_the_published_shape(sandbox, token):
    assert set(token) == {"token", "token_type", "base_url", "expires_at"}
    assert token["base_url"] == sandbox.roots.fal_cdn
    assert datetime.fromisoformat(token["expires_at"]).tzinfo is not None


async def test_a_single_upload(sandbox, client, headers):
    reply = await client.post(
        f"{sandbox.roots.fal_cdn}/files/upload",
        headers={**headers, "X-Fal-File-Name": "my photo/1.png"},
        content=CONTENT,
    )
    assert reply.status_code == 200
    url = reply.json()["access_url"]
    assert url.startswith(f"{sandbox.roots.fal_cdn}/files/")
    assert url.endswith("/my_photo_1.png")
    file = await client.get(url)
    assert (file.content, file.headers["content-type"]) == (CONTENT, "image/png")
    part = await client.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, CONTENT[10:20])
    recorded = sandbox.requests[-1]
    assert (recorded.path, recorded.body, recorded.length) == ("/fal/cdn/files/upload", None, len(CONTENT))


async def test_a_multipart_upload_joins_the_parts_in_order(sandbox, client, token, headers):
    begun = await client.post(
        f"{token['base_url']}/files/upload/multipart", headers={**headers, "X-Fal-File-Name": "clip.mp4"}
    )
    base = f"{begun.json()['access_url']}/multipart/{begun.json()['uploadId']}"
    pieces = {1: CONTENT[:300_000], 2: CONTENT[300_000:600_000], 3: CONTENT[600_000:]}

    async def send(number):
        reply = await client.put(f"{base}/{number}", headers=headers, content=pieces[number])
        assert reply.headers["etag"].strip('"') == hashlib.md5(pieces[number]).hexdigest()
        return {"partNumber": number, "etag": reply.headers["etag"]}

    parts = await asyncio.gather(*(send(number) for number in (3, 1, 2)))
    await send(2)  # sent again, it counts once
    assert (await client.get(begun.json()["access_url"])).status_code == 404
    done = await client.post(f"{base}/complete", headers=headers, json={"parts": parts})
    assert done.status_code == 200
    assert (await client.get(begun.json()["access_url"])).content == CONTENT
    late = await client.put(f"{base}/1", headers=headers, content=b"x")
    assert late.status_code == 404


@pytest.mark.parametrize("parts", [[], [{"partNumber": 1, "etag": "wrong"}], [{"partNumber": 1}], "no list"])
async def test_a_multipart_upload_is_checked(sandbox, client, token, headers, parts):
    begun = await client.post(f"{token['base_url']}/files/upload/multipart", headers=headers)
    base = f"{begun.json()['access_url']}/multipart/{begun.json()['uploadId']}"
    await client.put(f"{base}/1", headers=headers, content=b"one")
    reply = await client.post(f"{base}/complete", headers=headers, json={"parts": parts})
    assert reply.status_code == 400
    assert (await client.get(begun.json()["access_url"])).status_code == 404


async def test_the_fallback_uploads_to_a_signed_address(sandbox, client):
    begun = await client.post(
        f"{sandbox.roots.fal_rest}/storage/upload/initiate?storage_type=gcs",
        headers=KEY,
        json={"file_name": "a.png", "content_type": "image/png"},
    )
    assert set(begun.json()) == {"upload_url", "file_url"}
    upload, typed = begun.json()["upload_url"], {"Content-Type": "image/png"}
    forged = await client.put(upload + "x", headers=typed, content=CONTENT)
    mistyped = await client.put(upload, headers={"Content-Type": "image/jpeg"}, content=CONTENT)
    assert (forged.status_code, mistyped.status_code) == (403, 403)
    assert (await client.put(upload, headers=typed, content=CONTENT)).status_code == 200
    assert (await client.get(begun.json()["file_url"])).content == CONTENT


async def test_uploads_need_the_token_not_the_key(sandbox, client):
    for headers in ({}, KEY, {"Authorization": "Bearer made-up"}):
        for path in ("files/upload", "files/upload/multipart"):
            reply = await client.post(f"{sandbox.roots.fal_cdn}/{path}", headers=headers, content=b"x")
            assert reply.status_code == 401


async def test_a_file_is_gone_after_its_lifecycle(sandbox, client, headers):
    address = f"{sandbox.roots.fal_cdn}/files/upload"
    for seconds, found in ((3600, 200), (1e-6, 404)):
        lifecycle = {"X-Fal-Object-Lifecycle": f'{{"expiration_duration_seconds": {seconds}}}'}
        reply = await client.post(address, headers={**headers, **lifecycle}, content=CONTENT)
        assert (await client.get(reply.json()["access_url"])).status_code == found
    broken = {"X-Fal-Object-Lifecycle": '{"expiration_duration_seconds": "soon"}'}
    assert (await client.post(address, headers={**headers, **broken}, content=b"")).status_code == 400


@pytest.mark.parametrize(
    ("stage", "path"),
    [
        (Stage.TOKEN, "rest/storage/auth/token"),
        (Stage.INITIATE, "rest/storage/upload/initiate"),
        (Stage.UPLOAD, "cdn/files/upload"),
    ],
)
async def test_every_step_can_fail(sandbox, client, stage, path):
    sandbox.faults.add(stage, error(503))
    reply = await client.post(f"{sandbox.url}/fal/{path}", headers=KEY, content=b"{}")
    assert reply.status_code == 503


async def test_an_upload_that_breaks_off_leaves_nothing(start, client, headers, tmp_path):
    sandbox = await start(folder=tmp_path)
    token = (await client.post(f"{sandbox.roots.fal_rest}/storage/auth/token", headers=KEY)).json()["token"]

    async def broken():
        yield bytes(200_000)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await client.post(
            f"{sandbox.roots.fal_cdn}/files/upload",
            headers={"Authorization": f"Bearer {token}"},
            content=broken(),
        )
    # A whole one afterwards is answered only when the loop has seen the broken one end.
    whole = {"Authorization": f"Bearer {token}"}
    reply = await client.post(f"{sandbox.roots.fal_cdn}/files/upload", headers=whole, content=b"whole")
    await client.get(reply.json()["access_url"])
    assert [path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()] == [5]
