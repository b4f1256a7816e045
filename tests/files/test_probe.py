"""What a file is, told from its content; and what models refuse."""

from __future__ import annotations

import shutil
import struct
import warnings
import zlib
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from remote_upscale.api_clients.errors import InvalidInput
from remote_upscale.api_clients.files.probe import (
    MEDIA_TYPES,
    SUFFIXES,
    ImageInfo,
    VideoInfo,
    check_input,
    probe,
)
from remote_upscale.api_clients.models import Limits, Media, Model
from remote_upscale.api_clients.prices import Unknown
from remote_upscale.api_clients.sizes import ByFactor

OLD = int(av.__version__.partition(".")[0]) < 18

IMAGES = {
    "rgb.png": ("png", 61, 37, False, 1),
    "rgba.png": ("png", 61, 37, True, 1),
    "palette.png": ("png", 61, 37, True, 1),
    "grey16.png": ("png", 61, 37, False, 1),
    "turned.png": ("png", 37, 61, False, 1),
    "animated.png": ("png", 61, 37, False, 3),
    "baseline.jpg": ("jpeg", 61, 37, False, 1),
    "progressive.jpg": ("jpeg", 61, 37, False, 1),
    "cmyk.jpg": ("jpeg", 61, 37, False, 1),
    "turned.jpg": ("jpeg", 37, 61, False, 1),
    "lossy.webp": ("webp", 61, 37, False, 1),
    "simple.webp": ("webp", 61, 37, False, 1),
    "lossless.webp": ("webp", 61, 37, False, 1),
    "alpha.webp": ("webp", 61, 37, True, 1),
    "alpha_lossless.webp": ("webp", 61, 37, True, 1),
    "turned.webp": ("webp", 61, 37, False, 1),
    "animated.webp": ("webp", 61, 37, True, 3),
}
VIDEOS = {
    "plain.mp4": ("mp4", 64, 48, "h264", True, 48),
    "fragmented.mp4": ("mp4", 64, 48, "h264", False, None),
    "turned.mp4": ("mp4", 48, 64, "h264", False, 48),
    "aspect.mp4": ("mp4", 64, 48, "h264", False, 48),
    "clip.mov": ("mov", 64, 48, "h264", True, 48),
    "clip.webm": ("webm", 64, 48, "vp9", True, None),
    "live.webm": ("webm", 64, 48, "vp9", False, None),
    "clip.mkv": ("matroska", 64, 48, "h264", True, None),
    "clip.avi": ("avi", 64, 48, "mpeg4", True, 48),
}


@pytest.mark.parametrize(("name", "expected"), IMAGES.items())
def test_pictures_are_told_from_their_content(
    name: str, expected: tuple[object, ...], media: Path, tmp_path: Path
) -> None:
    misnamed = tmp_path / "clip.avi"
    shutil.copy(media / name, misnamed)
    depth = 16 if name == "grey16.png" else 8
    assert probe(misnamed) == ImageInfo(*expected, (media / name).stat().st_size, depth)


@pytest.mark.parametrize(("name", "expected"), VIDEOS.items())
def test_clips_are_told_from_their_content(
    name: str, expected: tuple[object, ...], media: Path, tmp_path: Path
) -> None:
    if OLD and name == "turned.mp4":
        pytest.skip("this PyAV cannot write a rotation")
    misnamed = tmp_path / "picture.png"
    shutil.copy(media / name, misnamed)
    info = probe(misnamed)
    assert isinstance(info, VideoInfo)
    found = info.format, info.width, info.height, info.codec, info.audio
    assert found == expected[:5]
    assert info.bytes == (media / name).stat().st_size
    assert info.frame_rate == Fraction(24000, 1001)
    if name != "live.webm":
        assert info.seconds == pytest.approx(2.002, abs=0.06)
    if name != "clip.avi":  # AVI writes one frame more for the encoder's delay
        assert info.frames == expected[5]


@pytest.mark.skipif(OLD, reason="this PyAV cannot write a rotation")
def test_rotation_and_sample_aspect_are_told(media: Path) -> None:
    turned, aspect = probe(media / "turned.mp4"), probe(media / "aspect.mp4")
    assert isinstance(turned, VideoInfo)
    assert isinstance(aspect, VideoInfo)
    assert (turned.rotation, turned.sample_aspect) == (270, 1)
    assert (aspect.rotation, aspect.sample_aspect) == (0, Fraction(4, 3))


def test_huge_pictures_are_probed_and_pillows_limit_is_left_alone(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    data = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", data), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    path = tmp_path / "huge.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in chunks
        )
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert probe(path) == ImageInfo("png", 50_000, 50_000, False, 1, path.stat().st_size)
    assert before == Image.MAX_IMAGE_PIXELS


def test_missing_empty_and_foreign_files_are_refused_in_words(media: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        probe(tmp_path / "none.png")
    with pytest.raises(InvalidInput, match="is a folder"):
        probe(tmp_path)
    path = tmp_path / "file.png"
    foreign = {
        b"": "is empty",
        b"<html>an error page</html>": "not a picture or clip",
        b"#EXTM3U\n#EXT-X-VERSION:3\nhttp://127.0.0.1/a.ts": "not a picture or clip",
        b"GIF89a" + bytes(20): "GIF picture",
        b"\0\0\0\x18ftypheic" + bytes(20): "HEIC",
        b"\0\0\0\x18ftypavif" + bytes(20): "AVIF",
        b"\0\0\0\x18ftypisom" + bytes(20): "damaged",
        b"\x1a\x45\xdf\xa3": "cut off",
    }
    for content, words in foreign.items():
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match=words):
            probe(path)


def test_sound_alone_is_no_clip(media: Path, tmp_path: Path) -> None:
    import av

    path = tmp_path / "sound.mp4"
    with av.open(str(media / "plain.mp4")) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    with pytest.raises(InvalidInput, match="no moving picture"):
        probe(path)


def test_frames_that_are_too_large_are_not_decoded(media: Path) -> None:
    with pytest.raises(InvalidInput, match=r"64 x 48.*3,071 pixels"):
        probe(media / "clip.mov", max_pixels=64 * 48 - 1)
    probe(media / "clip.mov", max_pixels=64 * 48)


def model(media: Media, *formats: str, max_bytes: int | None = None) -> Model:
    return Model(
        id="invented/model", node_id="Invented", title="Invented", summary="Invented.", endpoint="/x",
        media=media, media_field="url", parameters=(), limits=Limits(formats=formats, max_bytes=max_bytes),
        sizing=ByFactor(), price=Unknown(source="invented"), first_poll=1,
    )  # fmt: skip


def test_models_refuse_what_they_do_not_take(media: Path) -> None:
    pictures = model(Media.IMAGE, "png", "jpeg", max_bytes=6000)
    clips = model(Media.VIDEO, "mp4", "avi")
    check_input(probe(media / "baseline.jpg"), pictures)
    check_input(probe(media / "plain.mp4"), clips)
    for name, taken, words in [
        ("plain.mp4", pictures, r"takes pictures, but the input is a clip \(mp4\)"),
        ("rgb.png", clips, r"takes clips, but the input is a picture \(png\)"),
        ("lossy.webp", pictures, "does not take webp"),
        ("clip.webm", clips, "does not take webm"),
        ("animated.png", pictures, "animated png of 3 pictures"),
        ("phone.jpg", pictures, r"has 1\d,\d{3} bytes; invented/model takes at most 6,000"),
    ]:
        with pytest.raises(InvalidInput, match=words) as caught:
            check_input(probe(media / name), taken)
        assert caught.value.hint


def test_every_format_has_a_media_type_and_a_suffix(media: Path) -> None:
    formats = {entry[0] for entry in [*IMAGES.values(), *VIDEOS.values()]}
    assert formats == set(MEDIA_TYPES) == set(SUFFIXES)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damaged_files_raise_nothing_but_our_error(data: st.DataObject, media: Path, tmp_path: Path) -> None:
    name = data.draw(st.sampled_from([*IMAGES, *VIDEOS]))
    content = bytearray((media / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, min(len(content), 2000) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(content)
    with suppress(InvalidInput):
        probe(path)
