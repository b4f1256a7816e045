"""One upload for each content, over processes."""

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager

import pytest
from faults import Stage, hang
from remote_upscale.api_clients.hosting import Hosting
from remote_upscale.api_clients.http import Http
from remote_upscale.api_clients.settings import Settings

HOST = """
import asyncio, json, sys
from pathlib import Path
from remote_upscale.api_clients.files.spliced_file import SplicedFile
from remote_upscale.api_clients.hosting import Hosting
from remote_upscale.api_clients.http import Http
from remote_upscale.api_clients.settings import Settings

async def main(path, args):
    settings = Settings.load()
    async with Http(settings) as http:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        tell = lambda done, total: print("uploading", flush=True)
        source = SplicedFile.whole(Path(path))
        hosted = await Hosting(settings, http).host(source, **json.loads(args), progress=tell)
        print(hosted.url, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def environ(tmp_path, sandbox) -> dict[str, str]:
    """A user's, at the sandbox."""
    roots = sandbox.roots
    return {
        "PATH": os.environ["PATH"],
        "FAL_KEY": "distinctive-fal-key-8d21",
        "REMOTE_UPSCALE_HOME": str(tmp_path / "home"),
        "REMOTE_UPSCALE_FAL_QUEUE_URL": roots.fal_queue,
        "REMOTE_UPSCALE_FAL_REST_URL": roots.fal_rest,
        "REMOTE_UPSCALE_FAL_CDN_URL": roots.fal_cdn,
    }


@asynccontextmanager
async def process(file, environ: dict[str, str]):
    """One that hosts a file once it is told to."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HOST,
        str(file.path),
        json.dumps(file.args()),
        env=environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert running.stdout is not None
        assert await running.stdout.readline() == b"ready\n"
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def told(running) -> str:
    """The link that a process gives."""
    out, _ = await running.communicate(b"go\n")
    return out.decode().split()[-1]


def uploads(sandbox) -> int:
    return sum(seen.path.endswith("/files/upload") for seen in sandbox.requests)


async def test_processes_that_host_the_same_bytes_at_once_share_one_upload(sandbox, make, environ, tmp_path):
    file = make(3_000_000)
    async with process(file, environ) as one, process(file, environ) as two, process(file, environ) as three:
        links = await asyncio.gather(*map(told, (one, two, three)))
    assert len(set(links)) == 1
    assert links[0].startswith("http")
    assert uploads(sandbox) == 1
    assert list((tmp_path / "home" / "hosting").glob("*")) == []


async def test_processes_that_host_in_a_store_at_once_share_one_upload(
    s3_url, s3_environment, make, environ, caplog
):
    caplog.set_level("INFO", logger="werkzeug")
    file = make()
    farm = environ | s3_environment | {"REMOTE_UPSCALE_BUCKET_URL": s3_url}
    async with process(file, farm) as one, process(file, farm) as two, process(file, farm) as three:
        links = await asyncio.gather(*map(told, (one, two, three)))
    assert len({link.partition("?")[0] for link in links}) == 1
    assert caplog.text.count("PUT /bucket/some/prefix/") == 1


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is a POSIX thing")
async def test_a_killed_process_keeps_nobody_waiting(sandbox, make, environ):
    sandbox.faults.add(Stage.UPLOAD, hang())
    file = make()
    settings = Settings.load(environ)
    async with process(file, environ) as first, Http(settings) as http:
        first.stdin.write(b"go\n")
        assert await first.stdout.readline() == b"uploading\n"
        second = asyncio.create_task(Hosting(settings, http).host(file.source, **file.args()))
        await asyncio.wait([second], timeout=0.5)
        assert not second.done(), "it waits for the first one"
        assert uploads(sandbox) == 1
        first.send_signal(signal.SIGKILL)
        await second
    assert uploads(sandbox) == 2


async def test_without_locks_it_uploads_all_the_same(sandbox, make, environ, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "hosting").write_text("not a folder")
    file, settings = make(), Settings.load(environ)
    async with Http(settings) as http:
        await Hosting(settings, http).host(file.source, **file.args())
    assert uploads(sandbox) == 1
