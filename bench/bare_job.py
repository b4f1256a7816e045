"""A job without all that this project does: ``python bench/bare_job.py PICTURE RESULT``.

It makes the same requests as ``remote-upscale run pixazo/crystal-image``, with the same libraries and one
after the other, writes one row of a database durably, and decodes the picture. It checks nothing, asks nobody
for anything twice, and a crash of it would lose what was paid for.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from pathlib import Path
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from PIL import Image
from sqlalchemy import create_engine, text

REST, CDN, PIXAZO = (os.environ[f"REMOTE_UPSCALE_{name}_URL"] for name in ("FAL_REST", "FAL_CDN", "PIXAZO"))
TURN = 0.01
"""Seconds between two questions whether the job is done."""


def main(picture: Path, result: Path) -> None:
    """Send a picture, and write what comes back."""
    with Image.open(picture) as image:
        image.load()
    database = create_engine(f"sqlite:///{result.with_suffix('.sqlite3')}")
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE jobs (source TEXT)"))
        connection.execute(text("INSERT INTO jobs VALUES (:source)"), {"source": str(picture)})
    database.dispose()
    result.write_bytes(asyncio.run(upscaled(picture.read_bytes(), picture.name)))
    with Image.open(result) as image:
        image.load()


async def upscaled(picture: bytes, name: str) -> bytes:
    """All the requests of a job; the result's bytes."""
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which spares it the certificates
    session = aiohttp.ClientSession()
    async with httpx.AsyncClient(transport=AiohttpTransport(no_tls, client=session)) as client:
        key = {"Authorization": f"Key {os.environ['FAL_KEY']}"}
        token = await ask(client, "POST", f"{REST}/storage/auth/token?storage_type=fal-cdn-v3", key, json={})
        upload = {"Authorization": f"{token['token_type']} {token['token']}", "Content-Type": "image/png"}
        upload["X-Fal-File-Name"] = name
        there = await ask(client, "POST", f"{CDN}/files/upload", upload, content=picture)
        key = {"Ocp-Apim-Subscription-Key": os.environ["PIXAZO_API_KEY"]}
        order = {"image": there["access_url"], "scale_factor": 2}
        job = await ask(client, "POST", f"{PIXAZO}/upscaler/v1/upscale", key, json=order)
        url = f"{PIXAZO}/v2/requests/status/{job['request_id']}"
        while (state := await ask(client, "GET", url, key))["status"] != "COMPLETED":  # noqa: ASYNC110 (of others)
            await asyncio.sleep(TURN)
        return (await client.get(state["output"]["media_url"][0])).content


async def ask(client: httpx.AsyncClient, method: str, url: str, headers: dict[str, str], **body: Any) -> Any:
    """A request, and the document in its reply."""
    reply = await client.request(method, url, headers=headers, **body)
    return reply.raise_for_status().json()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
