"""What a provider gets to see of a file: FFmpeg and ExifTool look at what the sandbox received."""

from __future__ import annotations

import asyncio
import json
import shutil
from urllib.request import urlopen

import pytest
from camera_clips import DATES, PLACE, PRIVATE, SUBTITLES_LEFT_OUT, camera_clip, told
from PIL import Image, PngImagePlugin
from remote_upscale.api_clients.engine import Engine, Job
from remote_upscale.api_clients.registry import find_model

pytestmark = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="FFmpeg's programs are not installed"
)
CLIPS = {
    "clip.mp4": ((), "mov_text"),
    "fragments.mp4": (("-movflags", "frag_keyframe+empty_moov"), "mov_text"),
    "clip.mov": (("-timecode", "02:02:02:02"), "mov_text"),
    "clip.webm": (("-c:v", "libvpx", "-c:a", "libopus", "-ar", "48000"), "webvtt"),
    "clip.avi": (("-c:v", "mpeg4", "-c:a", "mp3"), None),
}


async def received(settings, sandbox, model, source, destination):
    """What the provider was given the link of, and what the user is told."""
    job = Job(model=model, parameters={}, source=source, destination=destination)
    async with Engine.open(settings) as engine:
        outcome = await engine.run(job)
    [submit] = [r for r in sandbox.requests if r.method == "POST" and r.path.endswith(model.endpoint)]
    link = json.loads(submit.body)[model.media_field]
    copy = source.with_name(f"received{source.suffix}")
    with await asyncio.to_thread(urlopen, link) as reply:
        copy.write_bytes(reply.read())
    return copy, outcome.notes


@pytest.mark.parametrize("name", CLIPS)
async def test_of_a_clip_picture_and_sound(name, settings, sandbox, tmp_path):
    options, subtitles = CLIPS[name]
    source = camera_clip(tmp_path / name, *options, subtitles=subtitles)
    assert PLACE in told(source)
    model = find_model("pixazo/seedvr2-3b-video")
    copy, notes = await received(settings, sandbox, model, source, tmp_path / "out.mp4")
    assert copy.stat().st_size == source.stat().st_size
    assert not [words for words in [*PRIVATE, *DATES] if words in told(copy)]
    assert not [words for words in PRIVATE if words.encode() in copy.read_bytes()]
    assert bool(subtitles) == (SUBTITLES_LEFT_OUT[0] in notes)


@pytest.mark.parametrize(("suffix", "kind"), [("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP")])
async def test_of_a_picture_what_is_seen(suffix, kind, settings, sandbox, draw, tmp_path):
    source = tmp_path / f"picture.{suffix}"
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x8825] = 6, PLACE, {1: "N", 2: (48.0, 8.0, 13.0)}
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", PLACE)
    draw((40, 24)).save(source, kind, exif=exif, xmp=PLACE.encode(), pnginfo=info)
    copy, _ = await received(
        settings, sandbox, find_model("pixazo/crystal-image"), source, tmp_path / "out.png"
    )
    assert PLACE in told(source) or not shutil.which("exiftool")
    assert PLACE.encode() not in copy.read_bytes()
    assert not [words for words in (PLACE, "GPS", "workflow") if words in told(copy)]
    with Image.open(copy) as image:
        assert dict(image.getexif()) == {0x0112: 6}
