"""Stripped pictures of every kind: Pillow, and so ComfyUI's loader, shows them just as before."""

from __future__ import annotations

import io
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps
from remote_upscale.api_clients.files.probe import ImageInfo, probe
from remote_upscale.api_clients.files.strip import without_metadata

SECRET = b"/home/someone KSampler-seed-8427119"
SRGB = ImageCms.createProfile("sRGB")
FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}


def exif_block(orientation: int, kind: int, order: str, *, prefix: bytes = b"") -> bytes:
    """EXIF with an orientation of any type of value, and something private."""
    size = {1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4}[kind]
    value = orientation.to_bytes(size, "little" if order == "<" else "big").ljust(4, b"\0")
    head = b"II*\0" if order == "<" else b"MM\0*"
    maker = struct.pack(f"{order}HHII", 0x10F, 2, len(SECRET) + 1, 8 + 2 + 24 + 4)
    turn = struct.pack(f"{order}HHI", 0x112, kind, 1) + value
    count = struct.pack(f"{order}IH", 8, 2)
    return prefix + head + count + maker + turn + bytes(4) + SECRET + b"\0"


def xmp_packet(orientation: int, *, as_element: bool) -> bytes:
    said = f'tiff:Orientation="{orientation}"/>'
    if as_element:
        said = f"><tiff:Orientation>{orientation}</tiff:Orientation></rdf:Description>"
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description dc:by="{SECRET.decode()}" {said}'.encode()


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def in_png(data: bytes, exif: bytes, xmp: bytes, draw: st.DataObject) -> bytes:
    """Metadata in chunks, at both ends of the file."""
    chunks: list[bytes] = [png_chunk(b"tEXt", b"prompt\0" + SECRET), png_chunk(b"prVt", SECRET)]
    if exif and draw.draw(st.booleans(), "as text"):
        text = f"\nexif\n{len(exif):8}\n{exif.hex()}\n".encode()
        keyword = b"Raw profile type exif\0"
        packed = draw.draw(st.booleans(), "packed")
        chunks.append(
            png_chunk(b"zTXt", keyword + b"\0" + zlib.compress(text))
            if packed
            else png_chunk(b"tEXt", keyword + text)
        )
    elif exif:
        chunks.append(png_chunk(b"eXIf", exif))
    if xmp:
        packed = draw.draw(st.booleans(), "packed")
        text = b"\1\0\0\0" + zlib.compress(xmp) if packed else b"\0\0\0\0" + xmp
        chunks.append(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0" + text))
    end = data.index(b"IEND") - 4
    for chunk in draw.draw(st.permutations(chunks), "order"):
        at = draw.draw(st.sampled_from([33, end]), "place")
        data = data[:at] + chunk + data[at:]
        end += len(chunk)
    return data + SECRET


def in_jpeg(data: bytes, exif: bytes, xmp: bytes, draw: st.DataObject) -> bytes:
    """Metadata in segments, a thumbnail in the first one, and a picture behind the end."""
    segments = [(0xFE, SECRET), (0xED, b"Photoshop 3.0\0" + SECRET), (0xE2, b"FPXR\0" + SECRET)]
    segments.append((0xE0, b"JFXX\0\x10" + SECRET))
    if exif:
        segments.append((0xE1, b"Exif\0\0" + exif))
    if xmp:
        segments.append((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp))
    first = 4 + struct.unpack(">H", data[4:6])[0]
    head, rest = data[:2], data[2:]
    if data[3] == 0xE0:
        thumbnail = SECRET.ljust(12 * 3, b"\xff")
        app0 = data[6:18] + bytes([4, 3]) + thumbnail
        head, rest = data[:4] + struct.pack(">H", len(app0) + 2) + app0, data[first:]
    for code, content in draw.draw(st.permutations(segments), "order"):
        head += b"\xff" + bytes([code]) + struct.pack(">H", len(content) + 2) + content
    return head + rest + data + SECRET


def in_webp(data: bytes, exif: bytes, xmp: bytes, draw: st.DataObject) -> bytes:
    """Metadata in chunks, announced or not."""
    parts = b"".join(
        name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
        for name, content in ((b"EXIF", exif), (b"XMP ", xmp), (b"prVt", SECRET))
        if content
    )
    announced = draw.draw(st.sampled_from([0x0C, 0x08, 0x04, 0]), "announced")
    with Image.open(io.BytesIO(data)) as image:
        size = b"".join((side - 1).to_bytes(3, "little") for side in image.size)
    chunks = data[12:]
    flags = announced & ((0x08 if exif else 0) | (0x04 if xmp else 0))
    if chunks[:4] == b"VP8X":
        chunks, flags = chunks[18:], flags | chunks[8]
    elif chunks[:4] == b"VP8L" and chunks[12] & 0x10:
        flags |= 0x10
    chunks = b"VP8X" + struct.pack("<II", 10, flags) + size + chunks + parts
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks + SECRET


PUT_IN = {"png": in_png, "jpg": in_jpeg, "webp": in_webp}
MODES = {
    "png": ["RGB", "RGBA", "L", "LA", "1", "P", "I;16"],
    "jpg": ["RGB", "L", "CMYK"],
    "webp": ["RGB", "RGBA"],
}


def picture(mode: str, width: int, height: int) -> Image.Image:
    noise = np.random.default_rng(width * 100 + height)
    if mode == "I;16":
        return Image.fromarray(noise.integers(0, 65536, (height, width), np.uint16))
    return Image.fromarray(noise.integers(0, 256, (height, width, 4), np.uint8), "RGBA").convert(mode)


def shown(data: bytes) -> tuple[str, tuple[int, int], bytes, bytes]:
    """How Pillow shows a picture, in its own colours and converted to sRGB by its profile."""
    with Image.open(io.BytesIO(data)) as image:
        turned = ImageOps.exif_transpose(image)
        profile = image.info.get("icc_profile")
        srgb = turned
        if profile and turned.mode in ("RGB", "RGBA", "L"):
            given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if given.profile.xcolor_space == ("GRAY" if turned.mode == "L" else "RGB "):
                srgb = ImageCms.profileToProfile(turned, given, SRGB, outputMode="RGB")
        assert srgb is not None
        return turned.mode, turned.size, turned.tobytes(), srgb.tobytes()


@settings(max_examples=300, deadline=None)
@given(draw=st.data())
def test_stripping_never_changes_what_pillow_shows(draw: st.DataObject) -> None:
    suffix = draw.draw(st.sampled_from(list(FORMATS)), "format")
    mode = draw.draw(st.sampled_from(MODES[suffix]), "mode")
    image = picture(mode, draw.draw(st.integers(1, 9)), draw.draw(st.integers(1, 9)))
    file = io.BytesIO()
    options: dict[str, Any] = {"lossless": True, "exact": True} if suffix == "webp" else {}
    if draw.draw(st.booleans(), "profile") and mode != "I;16":
        options["icc_profile"] = ImageCms.ImageCmsProfile(SRGB).tobytes()
    image.save(file, FORMATS[suffix], **options)
    exif = xmp = b""
    if draw.draw(st.booleans(), "EXIF"):
        kind = draw.draw(st.sampled_from([1, 3, 4, 6, 8, 9]), "type")
        exif = exif_block(draw.draw(st.integers(0, 9)), kind, draw.draw(st.sampled_from("<>")))
    if draw.draw(st.booleans(), "XMP"):
        xmp = xmp_packet(draw.draw(st.integers(0, 9)), as_element=draw.draw(st.booleans()))
    data = PUT_IN[suffix](file.getvalue(), exif, xmp, draw)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"picture.{suffix}"
        path.write_bytes(data)
        info = probe(path)
        kept = without_metadata(path, info.format)
        copy = kept.read(0, kept.size)
    assert SECRET in data
    assert SECRET not in copy
    assert shown(copy) == shown(data)
    assert isinstance(info, ImageInfo)
    assert info.size == shown(data)[1]


@pytest.mark.skipif(which("exiftool") is None, reason="ExifTool is not installed")
@pytest.mark.parametrize("name", ["icc.jpg", "rgb.png", "lossless.webp", "phone.jpg", "turned.png"])
def test_exiftool_finds_nothing_private(name: str, media: Path, secret: bytes, tmp_path: Path) -> None:
    def told(path: Path) -> bytes:
        command = ["exiftool", "-a", "-u", "-U", "-ee3", "-G1", "--File:all", "--System:all", path.name]
        return subprocess.run(command, cwd=path.parent, check=False, capture_output=True).stdout

    copy = tmp_path / name
    kept = without_metadata(media / name, probe(media / name).format)
    copy.write_bytes(kept.read(0, kept.size))
    assert secret in told(media / name)
    for words in (secret, b"/home/someone", b"MAKE", b"SERI", b"Thumbnail", b"Comment"):
        assert words not in told(copy)


def test_a_profile_keeps_its_length_and_what_decides_on_colours(media: Path) -> None:
    with Image.open(media / "icc.jpg") as image:
        before = image.info["icc_profile"]
    kept = without_metadata(media / "icc.jpg", "jpeg")
    with Image.open(io.BytesIO(kept.read(0, kept.size))) as image:
        after = image.info["icc_profile"]
    assert len(after) == len(before) > 150_000  # it is spread over segments
    profile = ImageCms.ImageCmsProfile(io.BytesIO(after)).profile
    assert profile.red_colorant == ImageCms.ImageCmsProfile(io.BytesIO(before)).profile.red_colorant
    assert not (profile.profile_description or "").strip()


@pytest.mark.parametrize(
    "profile", [b"no profile " + SECRET, b"\0" * 36 + b"acsp" + b"\xff" * 200 + SECRET, b"\0" * 200 + SECRET]
)
@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_no_profile_is_left_out(profile: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{suffix}"
    picture("RGB", 8, 8).save(path, FORMATS[suffix], icc_profile=profile, lossless=True)
    kept = without_metadata(path, probe(path).format)
    with Image.open(io.BytesIO(kept.read(0, kept.size))) as image:
        assert not image.info.get("icc_profile")
        assert image.tobytes() == Image.open(path).tobytes()
