"""Clips to pictures: colour against a reference in floats, ranges, and what must not pass in silence."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from remote_upscale.api_clients.errors import InvalidInput, RemoteUpscaleError
from remote_upscale.nodes.media import converter
from remote_upscale.nodes.media.video_read import read_frames
from remote_upscale.nodes.media.video_write import write_video

LUMA = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}


def write_codes(
    path: Path,
    planes: list[list[np.ndarray]],
    kind: str = "yuv444p",
    *,
    times: list[int] | None = None,
    tags: dict[str, int] | None = None,
    codec: str = "ffv1",
    options: dict[str, str] | None = None,
    clock: int = 600,
) -> None:
    """A clip of given codes, lossless unless another codec is named; times in ticks of the clock."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = planes[0][0].shape
        stream.pix_fmt = kind
        stream.codec_context.time_base = Fraction(1, clock)
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        for number, codes in enumerate(planes):
            frame = av.VideoFrame(stream.width, stream.height, kind)
            for plane, values in zip(frame.planes, codes, strict=True):
                rows = np.zeros((plane.height, plane.line_size // values.itemsize), values.dtype)
                rows[:, : values.shape[1]] = values
                plane.update(rows.tobytes())
            for name, value in (tags or {}).items():
                if hasattr(frame, name):  # PyAV 16.0 has not all of them
                    setattr(frame, name, value)
            frame.pts = number * clock // 25 if times is None else times[number]
            frame.time_base = Fraction(1, clock)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def flat(
    luma: int, cb: int = 128, cr: int = 128, size: tuple[int, int] = (16, 32), kind: type = np.uint8
) -> list:
    return [np.full(size, value, kind) for value in (luma, cb, cr)]


def reference(codes: list[np.ndarray], matrix: int, bits: int, full: bool) -> np.ndarray:
    """H.273's equations, in doubles."""
    red, blue = LUMA[matrix]
    unit = 2.0 ** (bits - 8)
    if full:
        luma, cb, cr = (plane.astype(float) / (2**bits - 1) for plane in codes)
        cb, cr = (c - 2 ** (bits - 1) / (2**bits - 1) for c in (cb, cr))
    else:
        luma = (codes[0] / unit - 16) / 219
        cb, cr = ((plane / unit - 128) / 224 for plane in codes[1:])
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    g = (luma - red * r - blue * b) / (1 - red - blue)
    return np.clip(np.stack([r, g, b], -1), 0, 1)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize(("kind", "bits"), [("yuv444p", 8), ("yuv444p10le", 10), ("yuv444p12le", 12)])
def test_codes_become_the_colours_of_the_standard(
    tmp_path: Path, kind: str, bits: int, matrix: int, full: bool
) -> None:
    path = tmp_path / "clip.mkv"
    dtype = np.uint8 if bits == 8 else np.uint16
    codes = [np.random.default_rng(1).integers(0, 2**bits, (17, 45), dtype) for _ in range(3)]
    write_codes(path, [codes], kind, tags={"colorspace": matrix, "color_range": 2 if full else 1})
    images = read_frames(path).images
    assert np.abs(images[0].numpy() - reference(codes, matrix, bits, full)).max() < 2e-5


@pytest.mark.parametrize(("height", "width"), [(98, 64), (97, 63), (1, 3)])
@pytest.mark.parametrize(
    ("kind", "down", "across"), [("yuv420p", 2, 2), ("yuv422p", 1, 2), ("yuv420p10le", 2, 2)]
)
def test_chroma_lies_left_and_between_the_lines(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    kind: str,
    down: int,
    across: int,
    height: int,
    width: int,
) -> None:
    # Chroma that rises evenly must come out rising evenly, with no offset, over several strips.
    monkeypatch.setattr(converter, "_STRIP", 10 * width)
    path = tmp_path / "clip.mkv"
    bits = 10 if kind.endswith("10le") else 8
    dtype = np.uint8 if bits == 8 else np.uint16
    unit = 2 ** (bits - 8)
    lines = -(-height // down)
    y, x = np.mgrid[:lines, : -(-width // across)]
    rising = ((90 + x + y // 2 * 2) * unit).astype(dtype)
    luma = np.full((height, width), 110 * unit, dtype)
    write_codes(path, [[luma, rising, rising]], kind, tags={"colorspace": 1, "color_range": 1})
    y, x = np.mgrid[:height, :width]
    exact_x = x / across
    rows = np.clip((y + 0.5) / down - 0.5, 0, lines - 1)
    steps = rising[:, 0].astype(float)
    chroma = np.interp(rows.ravel(), np.arange(len(steps)), steps).reshape(rows.shape) + exact_x * unit
    wanted = reference([luma, chroma, chroma], 1, bits, full=False)
    difference = np.abs(read_frames(path).images[0].numpy() - wanted)[:, : width - 2]
    assert difference.max() < 2e-5


@pytest.mark.parametrize(("height", "matrix"), [(16, 5), (720, 1)])
def test_a_matrix_that_is_not_said_is_assumed_in_words(tmp_path: Path, height: int, matrix: int) -> None:
    path = tmp_path / "clip.mkv"
    codes = flat(120, 100, 160, (height, 32))
    write_codes(path, [codes])
    frames = read_frames(path)
    assert np.abs(frames.images[0].numpy() - reference(codes, matrix, 8, full=False)).max() < 2e-5
    assert any("BT.709" in note if matrix == 1 else "BT.601" in note for note in frames.notes)


def test_gray_rgb_and_rare_formats(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    write_codes(path, [[np.full((16, 32), 126, np.uint8)]], "gray", tags={"colorspace": 1, "color_range": 1})
    assert torch.allclose(read_frames(path).images, torch.tensor(110 / 219), atol=1e-5)
    colours = [np.full((16, 32), value, np.uint8) for value in (10, 20, 30)]
    write_codes(tmp_path / "clip.avi", [colours], "gbrp", codec="utvideo")
    assert (read_frames(tmp_path / "clip.avi").images[0, 3, 3] * 255).round().tolist() == [30, 10, 20]
    codes = [np.full((16, 32 // across), value, np.uint8) for value, across in ((120, 1), (100, 4), (160, 4))]
    write_codes(path, [codes], "yuv411p", tags={"colorspace": 1, "color_range": 1})
    wanted = reference(flat(120, 100, 160), 1, 8, full=False)
    assert np.abs(read_frames(path).images[0].numpy() - wanted).max() < 1e-3


@pytest.mark.parametrize("suffix", ["avi", "mkv", "mov"])
def test_every_container_is_read_in_order(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip.{suffix}"
    levels = [40, 60, 80, 100, 120, 140]
    write_codes(
        path,
        [flat(level, size=(32, 64)) for level in levels],
        codec="libx264",
        options={"crf": "1"},
        clock=25,
    )
    for start in (0, 4):
        images = read_frames(path, start=start).images
        assert (images[:, 8, 8, 1] * 219 + 16 - torch.tensor(levels[start:])).abs().max() < 2


def test_the_fast_way_is_as_exact_where_chroma_does_not_change(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    colours = np.random.default_rng(5).integers(60, 180, (4, 3))
    write_codes(path, [flat(*row) for row in colours.tolist()], tags={"colorspace": 1, "color_range": 1})
    exact, fast = read_frames(path).images, read_frames(path, exact=False).images
    assert (exact - fast).abs().max() < 1.5 / 65535


@pytest.mark.parametrize(
    ("kind", "across", "down"), [("yuv420p", 2, 2), ("yuv422p", 2, 1), ("yuv444p", 1, 1)]
)
def test_the_fast_way_repeats_chroma(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, across: int, down: int
) -> None:
    monkeypatch.setattr(converter, "_STRIP", 320)
    noise = np.random.default_rng(8)
    luma = noise.integers(90, 150, (21, 33), np.uint8)
    size = -(-21 // down), -(-33 // across)
    chroma = [noise.integers(110, 150, size, np.uint8) for _ in range(2)]
    write_codes(tmp_path / "c.mkv", [[luma, *chroma]], kind, tags={"colorspace": 1, "color_range": 1})
    full = [part.repeat(down, 0).repeat(across, 1)[:21, :33] for part in chroma]
    wanted = reference([luma, *full], 1, 8, full=False)
    assert np.abs(read_frames(tmp_path / "c.mkv", exact=False).images[0].numpy() - wanted).max() < 1 / 255


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 frames with B-frames, each of the gray that is its number, and a second of rising sound."""
    path = tmp_path_factory.mktemp("clips") / "counted.mp4"
    levels = torch.arange(30).float() / 60 + 0.2
    ramp = torch.linspace(-0.5, 0.5, 48000).view(1, 1, -1)
    write_video(
        levels.view(30, 1, 1, 1).expand(30, 48, 64, 3),
        Fraction(30),
        path,
        crf=1,
        preset="medium",
        audio={"waveform": ramp, "sample_rate": 48000},
    )
    return path


def numbers(images: torch.Tensor) -> list[int]:
    return ((images.mean((1, 2, 3)) - 0.2) * 60).round().int().tolist()


@pytest.mark.parametrize(
    ("start", "count", "stride"),
    [(0, None, 1), (7, 5, 1), (0, None, 7), (3, 4, 3), (29, None, 1), (20, 99, 2)],
)
def test_ranges(counted: Path, start: int, count: int | None, stride: int) -> None:
    frames = read_frames(counted, start=start, count=count, stride=stride)
    wanted = list(range(30))[start::stride][:count]
    assert numbers(frames.images) == wanted
    assert frames.rate == Fraction(30, stride)
    assert frames.audio is not None
    waveform = frames.audio["waveform"][0, 0]
    whole = start == 0 and count is None
    left = 48000 - start * 1600
    assert len(waveform) == (48000 if whole else min(left, len(wanted) * stride * 1600))
    assert abs(waveform[400].item() - (start * 1600 + 400) / 48000 + 0.5) < 0.02


def test_a_bound_on_memory_is_checked_first(counted: Path) -> None:
    size = 30 * 48 * 64 * 3 * 4
    assert len(read_frames(counted, max_bytes=size).images) == 30
    with pytest.raises(InvalidInput, match=r"30 frames of 64 x 48 take .* GB") as caught:
        read_frames(counted, max_bytes=size - 1)
    assert "range" in caught.value.hint


@pytest.mark.parametrize("bad", [{"start": -1}, {"stride": 0}, {"count": 0}, {"start": 30}])
def test_ranges_that_make_no_sense(counted: Path, bad: dict[str, int]) -> None:
    with pytest.raises(InvalidInput):
        read_frames(counted, **bad)


def test_rotation_is_applied(tmp_path: Path) -> None:
    plain, turned = tmp_path / "plain.mp4", tmp_path / "turned.mp4"
    picture = torch.zeros(2, 32, 64, 3)
    picture[:, :16, :16] = 1.0
    write_video(picture, Fraction(25), plain, crf=1)
    # The matrix in the track header: a quarter turn clockwise.
    data = bytearray(plain.read_bytes())
    unturned = b"".join(value.to_bytes(4, "big") for value in (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30))
    at = data.index(unturned, data.index(b"tkhd"))
    quarter = (0, 1 << 16, 0, (1 << 32) - (1 << 16), 0, 0, 0, 0, 1 << 30)
    data[at : at + 36] = b"".join(value.to_bytes(4, "big") for value in quarter)
    turned.write_bytes(data)
    for exact in (True, False):
        images = read_frames(turned, exact=exact).images
        assert images.shape == (2, 64, 32, 3)
        assert torch.allclose(images, torch.rot90(picture, -1, (1, 2)), atol=0.2)


def test_a_varying_rate_is_made_even_in_words(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    levels = [40, 60, 80, 100, 120]
    # One, two and three beats of 24/600 s: the third frame stays for three of them.
    write_codes(path, [flat(level) for level in levels], times=[0, 24, 48, 120, 144], tags={"colorspace": 1})
    frames = read_frames(path)
    got = (frames.images[:, 0, 0, 0] * 219 + 16).round().int().tolist()
    assert got == [40, 60, 80, 80, 80, 100, 120]
    assert frames.rate == 25
    assert any("varies" in note and "2 frames were repeated and 0 left out" in note for note in frames.notes)


def test_times_far_too_uneven_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    write_codes(path, [flat(40)] * 4, times=[0, 24, 48, 6_000_000])
    with pytest.raises(InvalidInput, match="uneven"):
        read_frames(path)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused(tmp_path: Path, transfer: int, name: str) -> None:
    path = tmp_path / "clip.mkv"
    codes = flat(400, 512, 512, kind=np.uint16)
    tags = {"colorspace": 9, "color_trc": transfer, "color_primaries": 9, "color_range": 1}
    write_codes(path, [codes], "yuv444p10le", tags=tags)
    with pytest.raises(InvalidInput, match=name):
        read_frames(path)


def test_constant_luminance_is_refused_and_wide_primaries_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    write_codes(path, [flat(100)], tags={"colorspace": 10})
    with pytest.raises(InvalidInput, match=r"10 of H\.273"):
        read_frames(path)
    write_codes(path, [flat(100)], tags={"colorspace": 9, "color_primaries": 9})
    assert any("BT.2020" in note for note in read_frames(path).notes)


def test_interlaced_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    options = {"x264-params": "tff=1", "crf": "10"}
    write_codes(path, [flat(100, size=(64, 64))] * 3, codec="libx264", options=options)
    assert any("interlaced" in note for note in read_frames(path).notes)
    write_codes(path, [flat(100, size=(64, 64))] * 3, codec="libx264", options={"crf": "10"})
    assert not any("interlaced" in note for note in read_frames(path).notes)


def test_a_clip_that_is_cut_off_is_refused(counted: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.mp4"
    data = counted.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.7)])
    with pytest.raises(InvalidInput):
        read_frames(path)


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n" + bytes(99), b"#EXTM3U\nhttp://127.0.0.1:1/a.ts\n"]
)
def test_what_is_no_clip(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(InvalidInput):
        read_frames(path)


def test_damaged_files_end_in_our_errors(counted: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.mp4"
    whole = counted.read_bytes()
    index = whole.index(b"mdat")
    refused = 0
    for seed in range(60):
        chance = random.Random(seed)
        data = bytearray(whole)
        for _ in range(chance.randint(1, 12)):
            # The index is at the front and is what a reader believes, so most of the damage is there.
            data[chance.randrange(index if seed % 3 else len(data))] = chance.randrange(256)
        path.write_bytes(data)
        try:
            images = read_frames(path, max_bytes=1 << 26).images
        except RemoteUpscaleError:
            refused += 1
        else:
            assert images.isfinite().all()
    assert 0 < refused < 60
