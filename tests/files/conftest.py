"""Real media, made once a session: every file holds ``SECRET`` in its metadata."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

SECRET = "KSampler-seed-8427119"
WORKFLOW = json.dumps({"nodes": [{"type": SECRET, "text": "x" * 3000}]})
PROMPT = json.dumps({"1": {"class_type": SECRET}})


def gradient(width: int, height: int, channels: int, step: int = 0) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    planes = [((x * (3 + c) + y * (5 - c) + 40 * c + 9 * step) % 256) for c in range(channels)]
    return np.stack(planes, axis=-1).astype(np.uint8)


def exif(orientation: int | None = None) -> bytes:
    """EXIF with the workflow in Make and ImageDescription, as some ComfyUI savers write it."""
    block = Image.Exif()
    block[0x010E] = f"Workflow:{WORKFLOW}"
    block[0x010F] = f"Prompt:{PROMPT}"
    if orientation is not None:
        block[0x0112] = orientation
    return block.tobytes()


def private_profile(length: int = 0) -> bytes:
    """A profile of odd colours that tells who made it, in the tags for that, and is at least so long."""
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    count = int.from_bytes(plain[128:132], "big")
    tags = {plain[at : at + 4]: plain[at + 4 : at + 12] for at in range(132, 132 + 12 * count, 12)}
    data = {name: plain[start : start + size] for name, (start, size) in _places(tags)}
    data[b"rXYZ"], data[b"gXYZ"] = data[b"gXYZ"], data[b"rXYZ"]
    words = SECRET.encode() + b" /home/someone"
    data[b"meta"] = b"dict" + bytes(4) + words.ljust(length, b"-")
    data[b"cprt"] = b"text" + bytes(4) + words + b"\0"
    data[b"desc"] = b"desc" + struct.pack(">II", 0, len(words) + 1) + words + bytes(79)
    data[b"dmnd"], data[b"mmod"] = data[b"desc"], b"mmod" + bytes(4) + words
    table, content, start = b"", b"", 132 + 12 * len(data)
    for name, tag in data.items():
        table += name + struct.pack(">II", start + len(content), len(tag))
        content += tag + bytes(-len(tag) % 4)
    header = bytearray(plain[:128])
    header[48:56], header[80:84] = b"MAKEMODL", b"SERI"
    whole = bytes(header) + len(data).to_bytes(4, "big") + table + content
    return len(whole).to_bytes(4, "big") + whole[4:]


def _places(tags: dict[bytes, bytes]) -> list[tuple[bytes, tuple[int, int]]]:
    return [(name, struct.unpack(">II", place)) for name, place in tags.items()]


def comfy_png_info() -> PngInfo:
    info = PngInfo()
    info.add_text("prompt", PROMPT)
    info.add_text("workflow", WORKFLOW)
    info.add_text("parameters", SECRET, zip=True)
    info.add_itxt("XML:com.adobe.xmp", SECRET)
    info.add(b"prVt", SECRET.encode(), after_idat=True)
    return info


def _png_cases(folder: Path) -> None:
    rgb = Image.fromarray(gradient(61, 37, 3))
    common = {"pnginfo": comfy_png_info(), "exif": exif()}
    rgb.save(folder / "rgb.png", dpi=(300, 300), icc_profile=private_profile(), **common)
    Image.fromarray(gradient(61, 37, 4)).save(folder / "rgba.png", **common)
    Image.fromarray(gradient(61, 37, 1)[..., 0]).save(folder / "grey.png", **common)
    Image.fromarray(gradient(61, 37, 1)[..., 0].astype(np.uint16) * 257).save(folder / "grey16.png", **common)
    rgb.quantize(17).save(folder / "palette.png", transparency=3, **common)
    rgb.convert("1").save(folder / "bilevel.png", **common)
    rgb.save(folder / "turned.png", pnginfo=comfy_png_info(), exif=exif(6))
    rgb.save(folder / "trailing.png", pnginfo=comfy_png_info())
    with (folder / "trailing.png").open("ab") as file:
        file.write(SECRET.encode())
    more = [Image.fromarray(gradient(61, 37, 3, step)) for step in (1, 2)]
    rgb.save(folder / "animated.png", save_all=True, append_images=more, duration=50, **common)


def _jpeg_cases(folder: Path) -> None:
    rgb = Image.fromarray(gradient(61, 37, 3))
    xmp = f"<x:xmpmeta>{SECRET}</x:xmpmeta>".encode()
    common = {"quality": 92, "comment": SECRET, "xmp": xmp}
    rgb.save(folder / "baseline.jpg", exif=exif(), dpi=(72, 72), **common)
    rgb.save(folder / "progressive.jpg", progressive=True, exif=exif(), **common)
    rgb.save(folder / "turned.jpg", exif=exif(8), **common)
    rgb.save(folder / "restarts.jpg", exif=exif(), restart_marker_rows=1, **common)
    rgb.save(folder / "icc.jpg", exif=exif(1), icc_profile=private_profile(150_000), **common)
    rgb.convert("L").save(folder / "grey.jpg", exif=exif(), **common)
    rgb.convert("CMYK").save(folder / "cmyk.jpg", exif=exif(), **common)
    rgb.save(folder / "phone.jpg", exif=exif(), **common)
    iptc = b"Photoshop 3.0\0" + SECRET.encode()
    plain = (folder / "phone.jpg").read_bytes()
    with (folder / "phone.jpg").open("wb") as file:
        file.write(plain[:2] + b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc + plain[2:])
        file.write(plain + SECRET.encode())


def _webp_cases(folder: Path) -> None:
    rgb, rgba = Image.fromarray(gradient(61, 37, 3)), Image.fromarray(gradient(61, 37, 4))
    common = {"exif": exif(), "xmp": SECRET.encode()}
    rgb.save(folder / "lossy.webp", quality=90, **common)
    rgb.save(folder / "lossless.webp", lossless=True, icc_profile=private_profile(7), **common)
    rgba.save(folder / "alpha.webp", quality=90, **common)
    rgba.save(folder / "alpha_lossless.webp", lossless=True, exact=True, **common)
    rgb.save(folder / "turned.webp", exif=exif(3), xmp=SECRET.encode())
    more = [Image.fromarray(gradient(61, 37, 4, step)) for step in (1, 2)]
    rgba.save(folder / "animated.webp", save_all=True, append_images=more, duration=50, **common)
    rgb.save(folder / "simple.webp", quality=90)
    with (folder / "simple.webp").open("ab") as file:
        file.write(SECRET.encode())


def write_video(
    path: Path,
    *,
    video: str,
    audio: str | None = None,
    options: dict[str, str] | None = None,
    rate: Fraction = Fraction(24000, 1001),
    frames: int = 48,
    size: tuple[int, int] = (64, 48),
    rotation: int = 0,
    aspect: Fraction | None = None,
    metadata: bool = True,
) -> None:
    """A clip with ``prompt`` and ``workflow`` in its metadata, as ComfyUI's own nodes write them."""
    with av.open(str(path), "w", options=options or {}) as out:
        if metadata:
            out.metadata.update(prompt=PROMPT, workflow=WORKFLOW, comment=SECRET, title=SECRET)
        stream = out.add_stream(video, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 12
        if metadata:
            stream.metadata.update(title=SECRET, comment=SECRET)
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation and CAN_TURN:
            stream.set_display_rotation(rotation)
        track = out.add_stream(audio, rate=48000) if audio else None
        if track is not None:
            track.layout = "mono"
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(gradient(*size, 3, index), format="rgb24")
            frame.pts, frame.time_base = index, 1 / rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        if track is not None:
            _audio(out, track, float(frames / rate))


def _audio(out: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    wave = (np.sin(np.arange(int(48000 * seconds)) * 0.05) * 8000).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
    resampler = av.AudioResampler(stream.format.name, "mono", 48000, frame_size=stream.frame_size or 1024)
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        out.mux(stream.encode(part))
    out.mux(stream.encode())


MDTA = {"movflags": "use_metadata_tags"}
VIDEOS: dict[str, dict[str, object]] = {
    "plain.mp4": {"video": "libx264", "audio": "aac"},
    "comfy.mp4": {"video": "libx264", "audio": "aac", "options": MDTA},
    "faststart.mp4": {"video": "libx264", "options": {"movflags": "use_metadata_tags+faststart"}},
    "fragmented.mp4": {"video": "libx264", "options": {"movflags": "frag_keyframe+empty_moov"}},
    "turned.mp4": {"video": "libx264", "options": MDTA, "rotation": 90},
    "aspect.mp4": {"video": "libx264", "options": MDTA, "aspect": Fraction(4, 3)},
    "clip.mov": {"video": "libx264", "audio": "aac", "options": MDTA},
    "clip.webm": {"video": "libvpx-vp9", "audio": "libopus", "options": {"live": "0"}},
    "live.webm": {"video": "libvpx-vp9", "options": {"live": "1"}},
    "clip.mkv": {"video": "libx264", "audio": "aac"},
    "clip.avi": {"video": "mpeg4", "audio": "mp3"},
}


CAN_TURN = int(av.__version__.partition(".")[0]) >= 18
"""PyAV writes a rotation from version 18 on."""


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures and clips of every kind that we take; the name says what is odd about each."""
    folder = tmp_path_factory.mktemp("media")
    _png_cases(folder)
    _jpeg_cases(folder)
    _webp_cases(folder)
    for name, how in VIDEOS.items():
        write_video(folder / name, **how)  # pyright: ignore[reportArgumentType]
    return folder


@pytest.fixture(scope="session")
def make_video() -> Callable[..., None]:
    """``write_video``, for clips of one's own."""
    return write_video


@pytest.fixture(scope="session")
def secret() -> bytes:
    """What must not be found in an upload."""
    return SECRET.encode()
