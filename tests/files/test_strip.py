"""Metadata left out: it is gone, and what is seen and heard is the same, bit for bit."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps, ImageSequence
from remote_upscale.api_clients.errors import InvalidInput
from remote_upscale.api_clients.files.formats.structure import Source
from remote_upscale.api_clients.files.probe import probe
from remote_upscale.api_clients.files.strip import without_metadata

IMAGES = [
    *("rgb.png", "rgba.png", "grey.png", "grey16.png", "palette.png", "bilevel.png", "turned.png"),
    *("trailing.png", "animated.png", "baseline.jpg", "progressive.jpg", "turned.jpg", "restarts.jpg"),
    *("icc.jpg", "grey.jpg", "cmyk.jpg", "phone.jpg", "lossy.webp", "lossless.webp", "alpha.webp"),
    *("alpha_lossless.webp", "turned.webp", "animated.webp", "simple.webp"),
]
VIDEOS = [
    *("plain.mp4", "comfy.mp4", "faststart.mp4", "fragmented.mp4", "turned.mp4", "aspect.mp4", "clip.mov"),
    *("clip.webm", "live.webm", "clip.mkv", "clip.avi"),
]
FORMATS = ("png", "jpeg", "webp", "mp4", "mov", "webm", "matroska", "avi")


def stripped(path: Path, folder: Path) -> Path:
    spliced = without_metadata(path, probe(path).format)
    copy = folder / path.name
    copy.write_bytes(spliced.read(0, spliced.size))
    return copy


def seen(path: Path) -> dict[str, object]:
    """Everything about a picture that changes what is seen."""
    with Image.open(path) as image:
        frames = [np.asarray(frame).tobytes() for frame in ImageSequence.Iterator(image)]
        image.seek(0)
        shown = np.asarray(ImageOps.exif_transpose(image.convert("RGBA"))).shape
        info = {key: image.info.get(key) for key in ("transparency", "gamma", "duration")}
        info["colours"] = converted_colours(image.info.get("icc_profile"))
        # Pillow makes up 72 dpi for a JPEG with EXIF that says none.
        dpi = image.info.get("dpi", (72, 72))
        return {"mode": image.mode, "frames": frames, "shown": shown, "dpi": dpi, **info}


def converted_colours(profile: bytes | None) -> bytes:
    """What LittleCMS makes of all sorts of colours that a profile describes."""
    if profile is None:
        return b""
    ramp = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8))
    srgb = ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(ramp, io.BytesIO(profile), srgb, outputMode="RGB").tobytes()


def played(path: Path) -> dict[str, object]:
    """Everything about a clip that changes what is seen and heard."""
    with av.open(str(path)) as container:
        streams = [
            (stream.type, stream.codec_context.name, stream.time_base, stream.codec_context.extradata)
            for stream in container.streams
        ]
        packets = [
            (packet.stream.index, packet.pts, packet.dts, packet.duration, packet.is_keyframe, bytes(packet))
            for packet in container.demux()
        ]
        length = container.duration
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frames = [
            (frame.pts, frame.rotation, frame.to_ndarray(format="rgb24").tobytes())
            for frame in container.decode(video)
        ]
        aspect = video.sample_aspect_ratio
    return {"streams": streams, "packets": packets, "length": length, "frames": frames, "aspect": aspect}


@pytest.mark.parametrize("name", IMAGES)
def test_a_picture_stays_the_same_without_its_metadata(
    name: str, media: Path, secret: bytes, tmp_path: Path
) -> None:
    before = (media / name).read_bytes()
    copy = stripped(media / name, tmp_path)
    assert secret in before
    assert secret not in copy.read_bytes()
    assert b"private" not in copy.read_bytes()
    assert len(copy.read_bytes()) < len(before)
    assert seen(copy) == seen(media / name)
    old, new = probe(media / name), probe(copy)
    assert (new.format, new.width, new.height) == (old.format, old.width, old.height)


@pytest.mark.parametrize("name", VIDEOS)
def test_a_clip_stays_the_same_without_its_metadata(
    name: str, media: Path, secret: bytes, tmp_path: Path
) -> None:
    before = (media / name).read_bytes()
    copy = stripped(media / name, tmp_path)
    assert secret in before
    assert secret not in copy.read_bytes()
    assert len(copy.read_bytes()) == len(before)
    assert played(copy) == played(media / name)
    with av.open(str(copy)) as container:
        assert not {"prompt", "workflow", "comment", "title", "PROMPT", "WORKFLOW"} & set(container.metadata)


@pytest.mark.parametrize("name", [*IMAGES, *VIDEOS])
def test_stripping_twice_changes_nothing_more(name: str, media: Path, tmp_path: Path) -> None:
    once = stripped(media / name, tmp_path)
    first = once.read_bytes()
    assert stripped(once, tmp_path).read_bytes() == first


@pytest.mark.parametrize(("name", "orientation"), [("turned.png", 6), ("turned.jpg", 8), ("turned.webp", 3)])
def test_only_the_orientation_is_left_of_exif(
    name: str, orientation: int, media: Path, tmp_path: Path
) -> None:
    with Image.open(stripped(media / name, tmp_path)) as image:
        assert dict(image.getexif()) == {0x0112: orientation}


def test_adobes_colour_segment_is_kept(media: Path) -> None:
    kept = without_metadata(media / "cmyk.jpg", "jpeg")
    assert b"\xff\xee\0\x0eAdobe" in kept.read(0, kept.size)


def test_only_the_first_exif_block_turns_a_jpeg(media: Path, tmp_path: Path) -> None:
    block = b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0%c\0\0\0\0\0\0"
    blocks = [b"\xff\xe1" + struct.pack(">H", len(block % turn) + 2) + block % turn for turn in (1, 6, 3)]
    plain = without_metadata(media / "baseline.jpg", "jpeg")
    data = plain.read(0, plain.size)
    path = tmp_path / "a.jpg"
    path.write_bytes(data[:2] + b"".join(blocks) + data[2:])
    kept = without_metadata(path, "jpeg")
    assert kept.read(0, kept.size) == data
    path.write_bytes(data[:2] + b"".join(blocks[1:]) + data[2:])
    kept = without_metadata(path, "jpeg")
    assert kept.read(0, kept.size) == data[:2] + blocks[1] + data[2:]


@pytest.mark.parametrize("shift", range(-3, 3))
def test_the_end_of_a_jpeg_is_found_wherever_it_lies(shift: int, secret: bytes, tmp_path: Path) -> None:
    """Scan data are searched block by block; a marker may lie across two of them."""
    start = b"\xff\xd8\xff\xda\0\2"
    picture = start + bytes((1 << 20) + shift) + b"\xff\xd9"
    path = tmp_path / "a.jpg"
    path.write_bytes(picture + secret + b"\xff\xd9")
    kept = without_metadata(path, "jpeg")
    assert kept.read(0, kept.size) == picture


def test_later_lists_of_a_long_avi_are_stripped_too(secret: bytes, tmp_path: Path) -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        return name + struct.pack("<I", len(content)) + content

    info = chunk(b"LIST", b"INFO" + secret)
    movie = chunk(b"LIST", b"movi" + bytes(8))
    first, second = chunk(b"RIFF", b"AVI " + movie + info), chunk(b"RIFF", b"AVIX" + movie + info)
    assert len(first) % 2
    path = tmp_path / "a.avi"
    path.write_bytes(first + b"\0" + second + secret)
    kept = without_metadata(path, "avi")
    data = kept.read(0, kept.size)
    assert secret not in data
    assert len(data) == len(first) + 1 + len(second) + 1  # with padding
    assert data.count(b"JUNK") == data.count(movie) == 2


def test_wrong_riff_flags_are_put_right(media: Path, tmp_path: Path) -> None:
    data = stripped(media / "lossless.webp", tmp_path).read_bytes()
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    assert data[12:16] == b"VP8X"
    assert data[20] == 0x20


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def test_a_large_clip_is_stripped_by_its_structure_alone(media: Path, secret: bytes, tmp_path: Path) -> None:
    """8 GiB of content behind a 64-bit size, metadata behind it, and a last box that runs to the end."""
    path = tmp_path / "large.mp4"
    movie = box(b"moov", box(b"mvhd", bytes(100)) + box(b"udta", secret))
    head = box(b"ftyp", b"isom\0\0\0\0")
    gap = 8 << 30
    with path.open("wb") as file:
        file.write(head + movie + struct.pack(">I4sQ", 1, b"mdat", 16 + gap))
        file.seek(gap, 1)
        file.write(struct.pack(">I4sQ", 1, b"uuid", 16 + len(secret)) + secret)
        file.write(box(b"XMP_", secret) + struct.pack(">I4s", 0, b"meta") + secret)
    kept = without_metadata(path, "mp4")
    assert kept.size == path.stat().st_size
    end = len(head + movie) + 16 + gap
    assert kept.read(end, 1000) == (
        struct.pack(">I4sQ", 1, b"free", 16 + len(secret)) + bytes(len(secret))
        + box(b"free", bytes(len(secret))) + struct.pack(">I4s", 0, b"free") + bytes(len(secret))
    )  # fmt: skip
    assert secret not in kept.read(0, 4096)


def element(id_: int, content: bytes, *, known: bool = True) -> bytes:
    size = (1 << 56 | len(content)) if known else (1 << 57) - 1
    return id_.to_bytes((id_.bit_length() + 7) // 8, "big") + size.to_bytes(8, "big") + content


def test_metadata_behind_clusters_of_unknown_size_is_found(secret: bytes, tmp_path: Path) -> None:
    path = tmp_path / "live.webm"
    cluster = element(0x1F43B675, element(0xE7, b"\0") + element(0xA3, b"\x81\0\0\x80data"), known=False)
    ebml = element(0x1A45DFA3, element(0x4282, b"webm"))
    attachments, tags = element(0x1941A469, secret), element(0x1254C367, secret)
    path.write_bytes(
        ebml + element(0x18538067, cluster + attachments + cluster + tags + cluster, known=False)
    )
    kept = without_metadata(path, "webm")
    data = kept.read(0, kept.size)
    assert secret not in data
    assert len(data) == path.stat().st_size
    assert data.count(cluster) == 3
    assert data.count(b"\xec") == 2


def test_void_elements_of_every_size_fit(tmp_path: Path) -> None:
    """The Void element that takes a title's place takes exactly its bytes, short or long."""
    for length in [0, 1, 4, 5, 6, 7, 8, 100, 127, 128, 16_000]:
        title = b"\x7b\xa9" + (0x4000 | length).to_bytes(2, "big") + b"s" * length
        info = element(0x1549A966, title + element(0x4489, b"\x44\x7a\0\0"))
        data = element(0x1A45DFA3, b"") + element(0x18538067, info)
        path = tmp_path / "a.mkv"
        path.write_bytes(data)
        kept = without_metadata(path, "matroska")
        again = tmp_path / "b.mkv"
        again.write_bytes(kept.read(0, kept.size))
        assert kept.size == len(data)
        assert b"s" * max(1, length) not in again.read_bytes()
        assert again.read_bytes().endswith(element(0x4489, b"\x44\x7a\0\0"))
        without_metadata(again, "matroska")


def png_with(*chunks: tuple[bytes, bytes]) -> bytes:
    out = b"\x89PNG\r\n\x1a\n"
    for name, data in chunks:
        out += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return out


def test_colour_chunks_of_a_png_are_kept(tmp_path: Path, secret: bytes) -> None:
    ihdr = (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    names = [b"cICP", b"mDCV", b"cLLI", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"pHYs", b"tRNS"]
    kept = [(name, b"\1\2\3\4") for name in names]
    dropped = [(name, secret) for name in (b"tIME", b"iDOT", b"caBX", b"woRK")]
    end = [(b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b"")]
    path = tmp_path / "a.png"
    path.write_bytes(png_with(ihdr, *kept, *dropped, *end))
    spliced = without_metadata(path, "png")
    assert spliced.read(0, spliced.size) == png_with(ihdr, *kept, *end)


@pytest.mark.parametrize("name", [*IMAGES, *VIDEOS])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_what_is_cut_off_is_refused_or_holds_no_metadata(
    name: str, part: float, media: Path, secret: bytes, tmp_path: Path
) -> None:
    data = (media / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(len(data) * part)])
    try:
        kept = without_metadata(path, probe(media / name).format)
    except InvalidInput:
        return
    assert secret not in kept.read(0, kept.size)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damaged_files_raise_nothing_but_our_error(data: st.DataObject, media: Path, tmp_path: Path) -> None:
    name = data.draw(st.sampled_from([*IMAGES, *VIDEOS]))
    content = bytearray((media / name).read_bytes())
    structure = [at for mark in MARKS if (at := content.find(mark)) >= 0]
    for _ in range(data.draw(st.integers(1, 6))):
        near = data.draw(st.sampled_from([0, *structure]))
        at = min(len(content) - 1, max(0, near + data.draw(st.integers(-8, 40))))
        content[at] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(content)
    for format_ in (probe(media / name).format, data.draw(st.sampled_from(FORMATS))):
        read_or_refuse(path, format_)


MARKS = (
    *(b"IHDR", b"eXIf", b"IDAT", b"Exif", b"\xff\xda", b"\xff\xc0", b"\xff\xc2", b"VP8X", b"EXIF", b"ANMF"),
    *(b"moov", b"trak", b"udta", b"meta", b"moof", b"mdat", b"\x18\x53\x80\x67", b"\x15\x49\xa9\x66"),
    *(
        b"\x16\x54\xae\x6b",
        b"\x1f\x43\xb6\x75",
        b"\x12\x54\xc3\x67",
        b"hdrl",
        b"strl",
        b"INFO",
        b"movi",
        b"JUNK",
    ),
)
STARTS = (
    *(
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"RIFF\xff\0\0\0WEBP",
        b"RIFF\xff\0\0\0AVI ",
        b"\x1a\x45\xdf\xa3",
    ),
    *(b"\0\0\0\x10ftypisom\0\0\0\0", b"\0\0\0\x30moov", b""),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(start=st.sampled_from(STARTS), garbage=st.binary(max_size=300), format_=st.sampled_from(FORMATS))
def test_garbage_raises_nothing_but_our_error(
    start: bytes, garbage: bytes, format_: str, tmp_path: Path
) -> None:
    path = tmp_path / "garbage"
    path.write_bytes(start + garbage)
    read_or_refuse(path, format_)


def read_or_refuse(path: Path, format_: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            kept = without_metadata(path, format_)
        except InvalidInput:
            return
        assert len(kept.read(0, kept.size)) == kept.size


def test_boxes_nested_without_end_are_no_bomb(tmp_path: Path) -> None:
    content = b""
    for _ in range(3000):
        content = box(b"moov", content)
    path = tmp_path / "deep.mp4"
    path.write_bytes(box(b"ftyp", b"isom\0\0\0\0") + content)
    kept = without_metadata(path, "mp4")
    assert kept.size == path.stat().st_size


def test_millions_of_pieces_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "many.png"
    ihdr = (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    many = (bytes(4) + b"tEXt" + bytes(4) + bytes(4) + b"gAMA" + bytes(4)) * 600_000
    path.write_bytes(png_with(ihdr) + many + png_with((b"IEND", b""))[8:])
    with pytest.raises(InvalidInput, match="too many pieces"):
        without_metadata(path, "png")


def test_formats_that_cannot_be_stripped_are_refused(media: Path) -> None:
    with pytest.raises(InvalidInput, match="gif"):
        without_metadata(media / "rgb.png", "gif")


def test_a_source_in_memory_is_read_like_a_file(tmp_path: Path) -> None:
    data = bytes(range(100))
    path = tmp_path / "file"
    path.write_bytes(data)
    source = Source.in_memory(data, Path("elsewhere"), "picture")
    with path.open("rb") as file:
        on_disk = Source(path, file, "picture")
        assert source.size == on_disk.size == 100
        for offset, length in ((0, 4), (96, 4), (98, 4), (200, 1)):
            assert source.up_to(offset, length) == on_disk.up_to(offset, length)
    with pytest.raises(InvalidInput, match="elsewhere is cut off, or not a picture"):
        source.at(97, 4)
