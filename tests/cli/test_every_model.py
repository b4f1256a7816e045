"""All eight models through the command line, every optional parameter set, byte for byte as the pages say."""

import asyncio
import json
import os
import sys

import av
import pytest
from PIL import Image
from remote_upscale.api_clients.registry import MODELS, PROVIDERS, ROOTS

HOOK = ["webhook=https://studio.example/hook", "webhook_events_filter=completed"]
HOOK_BODY = b'"webhook":"https://studio.example/hook","webhook_events_filter":["completed"]'

# model: the parameters, the submit's body where LINK stands for the hosted input, the result's size and codec
EVERYTHING = {
    "pixazo/seedvr2-3b-image": (
        [
            "upscale_mode=factor",
            "upscale_factor=2.5",
            "noise_scale=0.1",
            "output_format=webp",
            "seed=3",
            "sync_mode=true",
            *HOOK,
        ],
        b'{"image_url":"LINK","upscale_mode":"factor","upscale_factor":2.5,"noise_scale":0.1,'
        b'"output_format":"webp","seed":3,"sync_mode":true,' + HOOK_BODY + b"}",
        (160, 100, "WEBP"),
    ),
    "pixazo/seedvr2-3b-video": (
        [
            "upscale_mode=factor",
            "upscale_factor=2",
            "noise_scale=0.1",
            "output_format=H265 (.mp4)",
            "output_quality=low",
            "output_write_mode=fast",
            "seed=3",
            *HOOK,
        ],
        b'{"video_url":"LINK","upscale_mode":"factor","upscale_factor":2,"noise_scale":0.1,'
        b'"output_format":"H265 (.mp4)","output_quality":"low","output_write_mode":"fast","seed":3,'
        + HOOK_BODY
        + b"}",
        (192, 128, "hevc"),
    ),
    "pixazo/seedvr2-7b-image": (
        [
            "upscale_factor=4",
            "res_h=300",
            "res_w=480",
            "output_format=png",
            "noise_scale=0.5",
            "seed=12345",
            "job_id=mine",
        ],
        b'{"image_url":"LINK","upscale_factor":4.0,"res_h":300,"res_w":480,"output_format":"png",'
        b'"noise_scale":0.5,"seed":12345,"job_id":"mine"}',
        (480, 300, "PNG"),
    ),
    "pixazo/topaz-video": (
        ["upscale_factor=4"],
        b'{"video_url":"LINK","upscale_factor":4}',
        (384, 256, "h264"),
    ),
    "pixazo/crystal-image": (
        ["scale_factor=4", *HOOK],
        b'{"image":"LINK","scale_factor":4,' + HOOK_BODY + b"}",
        (256, 160, "PNG"),
    ),
    "apixo/image-upscaler": (
        [
            "request_type=callback",
            "callback_url=https://studio.example/hook",
            "mode=image-to-image",
            "resolution=2K",
            "output_format=jpeg",
        ],
        b'{"request_type":"callback","callback_url":"https://studio.example/hook","input":'
        b'{"mode":"image-to-image","image_urls":["LINK"],"resolution":"2k","output_format":"jpg"}}',
        (2048, 1280, "JPEG"),
    ),
    "fal/seedvr2-image": (
        [
            "upscale_mode=target",
            "target_resolution=720p",
            "seed=3",
            "noise_scale=0.125",
            "output_format=png",
            "sync_mode=true",
        ],
        b'{"image_url":"LINK","upscale_mode":"target","target_resolution":"720p","seed":3,'
        b'"noise_scale":0.125,"output_format":"png","sync_mode":true}',
        (1152, 720, "PNG"),
    ),
    "fal/seedvr2-seamless": (
        [
            "upscale_mode=factor",
            "upscale_factor=3",
            "seed=3",
            "noise_scale=0.1",
            "enable_safety_checker=false",
            "output_format=jpeg",
            "sync_mode=false",
        ],
        b'{"image_url":"LINK","upscale_mode":"factor","upscale_factor":3,"seed":3,"noise_scale":0.1,'
        b'"enable_safety_checker":false,"output_format":"jpeg","sync_mode":false}',
        (192, 120, "JPEG"),
    ),
}


def environment(settings):
    return {
        **os.environ,
        **{provider.key_variable: settings.keys[name].reveal() for name, provider in PROVIDERS.items()},
        "REMOTE_UPSCALE_HOME": str(settings.home),
        **{ROOTS[name].variable: url for name, url in settings.roots.items()},
    }


async def run(settings, *arguments):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        env=environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def describe(path):
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            video = container.streams.video[0]
            return video.width, video.height, video.codec_context.name
    with Image.open(path) as picture:
        picture.load()
        return *picture.size, picture.format


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
async def test_every_optional_parameter(model, settings, sandbox, photo, clip, tmp_path):
    words, body, described = EVERYTHING[model.id]
    given = [word for parameter in words for word in ("-p", parameter)]
    source, out = clip if model.media == "video" else photo, tmp_path / "out"
    code, stdout, stderr = await run(
        settings, "-m", "remote_upscale", "run", model.id, str(source), "-o", f"{out}/", *given, "--json"
    )
    assert (code, stderr) == (0, "")
    result = json.loads(stdout)
    [made] = out.iterdir()
    assert describe(made) == described
    assert (result["state"], result["output"], result["reused"]) == ("completed", str(made), False)

    every = {parameter.name for parameter in model.parameters}
    only_by_target = {"target_resolution"} if "upscale_mode=factor" in words else {"upscale_factor"}
    missing = every - {word.partition("=")[0] for word in words}
    assert missing <= only_by_target

    [submit] = [r for r in sandbox.requests if r.method == "POST" and r.path.endswith(model.endpoint)]
    sent = json.loads(submit.body)
    link = sent.get(model.media_field) or sent["input"][model.media_field][0]
    assert submit.body == body.replace(b"LINK", link.encode())


INVENT = """
import sys
from remote_upscale.api_clients.models import Limits, Media, Model
from remote_upscale.api_clients.parameters import Integer
from remote_upscale.api_clients.prices import Unknown
from remote_upscale.api_clients.providers.fal import Fal
from remote_upscale.api_clients.sizes import ByFactor

Fal.models += (
    Model(
        id="fal/invented",
        node_id="RemoteUpscaleFalInvented",
        title="Invented (fal)",
        summary="Upscales a picture by imagination.",
        endpoint="/fal-ai/invented/upscale",
        media=Media.IMAGE,
        media_field="image_url",
        parameters=(
            Integer(name="times", help="How many times larger each side becomes.", choices=(3, 5), default=3),
        ),
        limits=Limits(formats=("png",)),
        sizing=ByFactor("times"),
        price=Unknown(source="invented"),
        first_poll=1,
    ),
)
from remote_upscale.api_clients.cli import main
sys.exit(main(sys.argv[1:]))
"""


async def test_an_invented_model_needs_one_declaration(settings, photo, tmp_path):
    code, out, _ = await run(settings, "-c", INVENT, "models", "fal/invented")
    assert code == 0
    assert "How many times larger each side becomes." in out
    code, _, err = await run(
        settings, "-c", INVENT, "run", "fal/invented", str(photo), "-o", str(tmp_path), "-p", "times=4"
    )
    assert (code, err) == (2, "times is 4, but it must be 3 or 5.\n")
    code, out, _ = await run(
        settings, "-c", INVENT, "run", "fal/invented", str(photo), "-o", f"{tmp_path}/out/", "--sandbox"
    )
    assert code == 0
    assert describe(tmp_path / "out" / "photo.png") == (192, 120, "PNG")
