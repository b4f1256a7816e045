"""Results: whole ones pass, damaged, wrong and dangerous ones do not."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from PIL.JpegImagePlugin import JpegImageFile
from remote_upscale.api_clients.errors import BadResponse
from remote_upscale.api_clients.files import open_video
from remote_upscale.api_clients.files.probe import ImageInfo, VideoInfo, probe
from remote_upscale.api_clients.files.verify import verify_result
from remote_upscale.api_clients.models import Media
from remote_upscale.api_clients.sizes import Expected

STILLS = [
    *("rgb.png", "rgba.png", "grey.png", "grey16.png", "palette.png", "bilevel.png", "baseline.jpg"),
    *("progressive.jpg", "restarts.jpg", "icc.jpg", "grey.jpg", "cmyk.jpg", "lossy.webp", "lossless.webp"),
    *("alpha.webp", "alpha_lossless.webp", "simple.webp", "turned.jpg"),
]
VIDEOS = [
    *("plain.mp4", "comfy.mp4", "faststart.mp4", "fragmented.mp4", "turned.mp4", "clip.mov", "clip.webm"),
    *("live.webm", "clip.mkv", "clip.avi"),
]
LIMIT = 10_000_000


def verify_image(path: Path, expected: Expected | None = None, max_pixels: int = LIMIT) -> object:
    return verify_result(path, media=Media.IMAGE, expected=expected, max_pixels=max_pixels)


def verify_video(path: Path, expected: Expected | None = None, max_pixels: int = LIMIT) -> object:
    return verify_result(path, media=Media.VIDEO, expected=expected, max_pixels=max_pixels)


@pytest.mark.parametrize("name", STILLS)
def test_whole_pictures_pass(name: str, media: Path) -> None:
    assert verify_image(media / name) == probe(media / name)


@pytest.mark.parametrize("name", VIDEOS)
def test_whole_clips_pass(name: str, media: Path) -> None:
    assert verify_video(media / name) == probe(media / name)


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (8, 8), (13, 1), (1, 9)])
@pytest.mark.parametrize(("colour", "depth"), [(0, 1), (0, 16), (2, 8), (3, 4), (4, 8), (6, 16)])
def test_png_rows_are_counted_right(
    size: tuple[int, int], colour: int, depth: int, interlace: int, tmp_path: Path
) -> None:
    """As many bytes as libpng wants are enough, one fewer is not; Pillow is the judge of the layout."""
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    starts = [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ]
    rows = 0
    for x, y, across, down in starts if interlace else [(0, 0, 1, 1)]:
        wide, high = len(range(x, size[0], across)), len(range(y, size[1], down))
        rows += high * (1 + (wide * bits + 7) // 8) if wide else 0
    path = tmp_path / "a.png"
    palette = [(b"PLTE", bytes(48))] if colour == 3 else []
    for missing in (0, 1):
        data = zlib.compress(bytes(rows - missing))
        path.write_bytes(
            png(ihdr(*size, depth, colour, interlace), *palette, (b"IDAT", data), (b"IEND", b""))
        )
        if missing:
            with pytest.raises(BadResponse, match="rows of it are missing"):
                verify_image(path)
        else:
            verify_image(path)
            with Image.open(path) as image:
                image.load()


def ihdr(width: int, height: int, depth: int, colour: int, interlace: int = 0) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    out = b"\x89PNG\r\n\x1a\n"
    for name, data in chunks:
        out += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return out


# A live stream says no length, so where it is cut between two clusters nobody can tell.
@pytest.mark.parametrize("name", [*STILLS, *(name for name in VIDEOS if name != "live.webm")])
@pytest.mark.parametrize("lost", [3, 0.05, 0.5, 0.98])
def test_cut_off_files_are_noticed(name: str, lost: float, media: Path, tmp_path: Path) -> None:
    data = (media / name).read_bytes()
    if name == "simple.webp":
        data = data[:-21]
    path = tmp_path / name
    path.write_bytes(data[: len(data) - (lost if isinstance(lost, int) else int(len(data) * lost))])
    verify = verify_video if name in VIDEOS else verify_image
    with pytest.raises(BadResponse) as caught:
        verify(path)
    assert caught.value.meaning.retryable


@pytest.mark.parametrize("name", ["rgb.png", "grey16.png", "palette.png"])
def test_every_flipped_bit_of_png_data_is_noticed(name: str, media: Path, tmp_path: Path) -> None:
    data = (media / name).read_bytes()
    start = data.index(b"IDAT") + 4
    path = tmp_path / name
    for at in range(start, start + int.from_bytes(data[start - 8 : start - 4], "big"), 7):
        broken = bytearray(data)
        broken[at] ^= 0x10
        path.write_bytes(broken)
        with pytest.raises(BadResponse) as caught:
            verify_image(path)
        assert caught.value.meaning.retryable


def undecodable(media: Path) -> dict[str, bytes]:
    """Pictures whose structure is whole, with nothing that could be decoded in it."""
    jpeg = (media / "grey.jpg").read_bytes()
    tables = jpeg.index(b"\xff\xdb")
    webp = bytearray((media / "alpha_lossless.webp").read_bytes())
    at = webp.index(b"VP8L") + 13
    webp[at : at + 40] = b"\xa5" * 40
    end = (b"IEND", b"")
    return {
        "tables.jpg": jpeg[:tables]
        + jpeg[tables + 2 + int.from_bytes(jpeg[tables + 2 : tables + 4], "big") :],
        "data.webp": bytes(webp),
        "filter.png": png(ihdr(1, 2, 8, 0), (b"IDAT", zlib.compress(b"\0\0\5\0")), end),
        "palette.png": png(ihdr(1, 1, 8, 3), (b"IDAT", zlib.compress(b"\0\0")), end),
    }


@pytest.mark.parametrize("name", ["tables.jpg", "data.webp", "filter.png", "palette.png"])
def test_pictures_that_cannot_be_decoded_are_noticed(name: str, media: Path, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(undecodable(media)[name])
    with pytest.raises(BadResponse) as caught:
        verify_image(path)
    assert caught.value.meaning.retryable


def test_a_clip_whose_packets_end_early_is_noticed(make_video: Callable[..., None], tmp_path: Path) -> None:
    """The announced length says 20 s, in a structure that is whole; the content ends after 2 s."""
    path = tmp_path / "a.webm"
    make_video(path, video="libvpx-vp9", metadata=False)
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3
    assert struct.unpack(">d", data[at : at + 8])[0] == pytest.approx(2002, abs=2)
    data[at : at + 8] = struct.pack(">d", 20_000)
    path.write_bytes(data)
    with pytest.raises(BadResponse, match=r"ends after 2\.0 of 20\.0 seconds") as caught:
        verify_video(path)
    assert caught.value.meaning.retryable


def test_a_clip_whose_end_is_garbage_is_noticed(media: Path, tmp_path: Path) -> None:
    data = bytearray((media / "faststart.mp4").read_bytes())
    start = data.index(b"mdat") + 4
    data[start + (len(data) - start) // 3 :] = b"\xff" * (len(data) - start - (len(data) - start) // 3)
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    with pytest.raises(BadResponse) as caught:
        verify_video(path)
    assert caught.value.meaning.retryable


def test_implausible_sizes_are_named(media: Path) -> None:
    verify_image(media / "rgb.png", Expected(61, 37, exact=True))
    verify_image(media / "turned.jpg", Expected(37, 61, exact=True))
    verify_video(media / "turned.mp4", Expected(48, 64, exact=True))
    for verify, name in [(verify_image, "rgb.png"), (verify_video, "plain.mp4")]:
        with pytest.raises(BadResponse, match=r"6[14] x (37|48) pixels instead of 244 x 148") as caught:
            verify(media / name, Expected(244, 148, exact=True))
        assert not caught.value.meaning.retryable
    with pytest.raises(BadResponse, match="instead of about 400 x 400"):
        verify_image(media / "rgb.png", Expected(400, 400, exact=False))


def test_the_wrong_kind_is_refused(media: Path, tmp_path: Path) -> None:
    for verify, name in [
        (verify_image, "plain.mp4"),
        (verify_video, "rgb.png"),
        (verify_image, "animated.webp"),
        (verify_image, "animated.png"),
    ]:
        with pytest.raises(BadResponse) as caught:
            verify(media / name)
        assert not caught.value.meaning.retryable
    page = tmp_path / "page.png"
    page.write_text("<html>Bad gateway</html>")
    with pytest.raises(BadResponse, match="not a picture or clip") as caught:
        verify_image(page)
    assert caught.value.meaning.retryable


def bombs() -> dict[str, bytes]:
    """Small files that announce, or inflate to, more than any memory holds."""
    row = zlib.compress(bytes(1 << 20))
    return {
        "square.png": png(ihdr(50_000, 50_000, 8, 2), (b"IDAT", row), (b"IEND", b"")),
        "largest.png": png(ihdr(2**31 - 1, 2**31 - 1, 16, 6), (b"IDAT", row), (b"IEND", b"")),
        "a.jpg": b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\3\1\x11\0\2\x11\0\3\x11\0\xff\xda\0\2\xff\xd9",
        "a.webp": b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff" * 6,
    }


@pytest.mark.parametrize("name", bombs())
def test_bombs_are_refused_before_decoding(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(bombs()[name])
    with pytest.raises(BadResponse, match="more than the limit of 400,000,000 pixels") as caught:
        verify_image(path, max_pixels=400_000_000)
    assert not caught.value.meaning.retryable


def test_data_behind_the_last_row_are_not_inflated(tmp_path: Path) -> None:
    """128 MiB of zeros in 128 KiB, in a picture of 4 x 4: only its rows are inflated."""
    squeeze = zlib.compressobj(9)
    data = b"".join(squeeze.compress(bytes(1 << 24)) for _ in range(8)) + squeeze.flush()
    path = tmp_path / "a.png"
    path.write_bytes(png(ihdr(4, 4, 8, 0), (b"IDAT", data), (b"IEND", b"")))
    verify_image(path)


def test_text_chunks_do_no_harm(tmp_path: Path) -> None:
    """Pillow refuses to open a PNG with so much text; for us text is nothing to look at."""
    text = b"workflow\0\0" + zlib.compress(bytes(PngImagePlugin.MAX_TEXT_CHUNK * 3))
    path = tmp_path / "a.png"
    path.write_bytes(
        png(ihdr(1, 1, 8, 0), (b"zTXt", text), (b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b""))
    )
    assert verify_image(path) == ImageInfo("png", 1, 1, alpha=False, frames=1, bytes=path.stat().st_size)


def test_pictures_above_pillows_own_limits_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    image = Image.fromarray(np.zeros((100, 100, 3), np.uint8))
    for name in ("a.png", "a.jpg", "a.webp"):
        image.save(tmp_path / name)
        verify_image(tmp_path / name)


def test_frames_above_the_limit_are_not_decoded(media: Path) -> None:
    with pytest.raises(BadResponse, match="64 x 48") as caught:
        verify_video(media / "plain.mp4", max_pixels=3000)
    assert not caught.value.meaning.retryable


def test_a_clip_that_announces_less_than_it_holds_is_not_decoded(
    make_video: Callable[..., None], tmp_path: Path
) -> None:
    """The container says 64 x 48, the coded pictures are 1024 x 1024."""
    path = tmp_path / "a.mp4"
    make_video(path, video="libx264", size=(1024, 1024), frames=3, metadata=False)
    data = bytearray(path.read_bytes())
    at = data.index(b"avc1", data.index(b"stsd")) + 28
    assert data[at : at + 4] == struct.pack(">HH", 1024, 1024)
    data[at : at + 4] = struct.pack(">HH", 64, 48)
    path.write_bytes(data)
    with pytest.raises(BadResponse, match="1024 x 1024"):
        verify_video(path, max_pixels=64 * 48)


def test_longer_clips_are_read_at_their_end_only(make_video: Callable[..., None], tmp_path: Path) -> None:
    for name, codec in [("a.mp4", "libx264"), ("a.webm", "libvpx-vp9"), ("a.avi", "mpeg4")]:
        path = tmp_path / name
        make_video(path, video=codec, rate=Fraction(5), frames=60)
        info = verify_video(path)
        assert isinstance(info, VideoInfo)
        assert info.seconds == pytest.approx(12, abs=0.5)


@pytest.mark.parametrize("name", ["plain.mp4", "clip.mov", "clip.webm", "clip.avi", "clip.mkv"])
def test_sound_is_noted(name: str, media: Path) -> None:
    info = verify_video(media / name)
    assert isinstance(info, VideoInfo)
    assert info.audio
    with av.open(str(media / name)) as container:
        assert len(container.streams.audio) == 1


def bytes_read() -> int:
    """By this thread, from whatever file."""
    counters = Path("/proc/thread-self/io").read_text().splitlines()
    return next(int(line.partition(": ")[2]) for line in counters if line.startswith("rchar"))


@pytest.mark.skipif(
    not Path("/proc/thread-self/io").exists(), reason="the system does not count what is read"
)
@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.png", {}),
        ("a.jpg", {"quality": 95}),
        ("progressive.jpg", {"quality": 95, "progressive": True}),
        ("a.webp", {}),
    ],
)
def test_a_picture_is_opened_once_and_read_once(
    name: str, how: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8)
    Image.fromarray(noise).save(path, exif=b"Exif\0\0" + bytes(2000), **how)
    verify_image(path)
    opened: list[Path] = []
    system = Path.open

    def counted(this: Path, *given: object, **more: object) -> object:
        opened.append(this)
        return system(this, *given, **more)  # pyright: ignore[reportCallIssue, reportArgumentType]

    monkeypatch.setattr(Path, "open", counted)
    before = bytes_read()
    verify_image(path)
    count = bytes_read() - before
    assert opened.count(path) == 1
    size = path.stat().st_size
    assert size * 0.99 <= count <= size * 1.05 + 10_000


def test_a_clip_is_opened_by_its_decoder_once(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    system = open_video._open

    def counted(*given: object, **more: object) -> object:
        opened.append(given)
        return system(*given, **more)

    monkeypatch.setattr(open_video, "_open", counted)
    for name in VIDEOS:
        opened.clear()
        verify_video(media / name)
        assert len(opened) == 1


@pytest.mark.parametrize("frames", [1, 2, 3, 20])
@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.webm", "libvpx-vp9"), ("a.avi", "mpeg4")]
)
def test_clips_that_end_while_the_first_frame_is_decoded_pass(
    name: str, codec: str, frames: int, make_video: Callable[..., None], tmp_path: Path
) -> None:
    """Decoders keep frames back, so that the whole of a short clip is read for its first one."""
    path = tmp_path / name
    make_video(path, video=codec, frames=frames, rate=Fraction(frames))
    assert verify_video(path) == probe(path)


def test_a_large_file_is_not_held_in_memory(media: Path, tmp_path: Path) -> None:
    """100 MiB of metadata, in as many segments as that takes."""
    data = (media / "grey.jpg").read_bytes()
    segment = b"\xff\xed" + (0xFFFF).to_bytes(2, "big") + bytes(0xFFFD)
    path = tmp_path / "a.jpg"
    with path.open("wb") as file:
        file.write(data[:2])
        for _ in range(1600):
            file.write(segment)
        file.write(data[2:])
    tracemalloc.start()
    try:
        verify_image(path)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_whatever_a_decoder_raises_is_damage(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumbles(*given: object) -> None:
        raise AttributeError("'NoneType' object has no attribute 'read'")

    def lacks_memory(*given: object) -> None:
        raise MemoryError

    for wrong, error in [(stumbles, BadResponse), (lacks_memory, MemoryError)]:
        monkeypatch.setattr(JpegImageFile, "load", wrong)
        with pytest.raises(error):
            verify_image(media / "baseline.jpg")


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damaged_files_raise_nothing_but_our_error(data: st.DataObject, media: Path, tmp_path: Path) -> None:
    name = data.draw(st.sampled_from([*STILLS, *VIDEOS]))
    content = bytearray((media / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(content)
    with suppress(BadResponse):
        (verify_video if name in VIDEOS else verify_image)(path)


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "webm"])
def test_whole_clips_whose_time_begins_late_pass(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"late.{suffix}"
    with av.open(str(path), "w") as made:
        stream = made.add_stream("libvpx" if suffix == "webm" else "libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(100):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number + 50, Fraction(1, 25)
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    assert verify_video(path) == probe(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadResponse):
        verify_video(path)
