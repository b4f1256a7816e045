"""PNG that is read in strips: as exact as by other decoders, and as careful."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from remote_upscale.api_clients.errors import BadResponse
from remote_upscale.api_clients.files.formats.structure import Source
from remote_upscale.nodes.media import decode, png, png_read
from remote_upscale.nodes.media.decode import decode_image
from remote_upscale.nodes.media.png import chunk
from remote_upscale.nodes.media.png_read import read_layout, read_rows


@pytest.fixture(autouse=True)
def in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are read so even where isal, which makes it worth while, is not installed."""
    monkeypatch.setattr(decode, "isal", zlib)


def written(pixels: np.ndarray, *, split: int = 1 << 30, filters: int = 5, tail: bytes = b"") -> bytes:
    """A PNG whose rows take turns with all filters, packed by zlib; ``split`` bytes in a chunk."""
    height, width, channels = pixels.shape
    step = channels * pixels.itemsize
    rows = pixels.astype(f">u{pixels.itemsize}").view(np.uint8).reshape(height, -1).astype(int)
    above = np.zeros_like(rows[0])
    data = bytearray()
    for y, row in enumerate(rows):
        left = np.concatenate([np.zeros(step, int), row[:-step]])
        corner = np.concatenate([np.zeros(step, int), above[:-step]])
        guess = left + above - corner
        near = [abs(guess - value) for value in (left, above, corner)]
        first = (near[0] <= near[1]) & (near[0] <= near[2])
        paeth = np.where(first, left, np.where(near[1] <= near[2], above, corner))
        predicted = (np.zeros_like(row), left, above, (left + above) // 2, paeth)[y % filters]
        data += bytes([y % filters]) + ((row - predicted) % 256).astype(np.uint8).tobytes()
        above = row
    return assembled(width, height, channels, 8 * pixels.itemsize, bytes(data) + tail, split)


def assembled(width: int, height: int, channels: int, depth: int, rows: bytes, split: int = 1 << 30) -> bytes:
    packed = zlib.compress(rows, 1)
    colour = {3: 2, 4: 6}[channels]
    parts = [chunk(b"IDAT", packed[n : n + split]) for n in range(0, len(packed), split)]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(parts) + chunk(b"IEND", b"")


def pixels_of(height: int, width: int, channels: int, kind: type) -> np.ndarray:
    return np.random.default_rng(width).integers(0, np.iinfo(kind).max + 1, (height, width, channels), kind)


def read(data: bytes, channels: int) -> np.ndarray:
    source = Source.in_memory(data, Path("picture"), "png")
    layout = read_layout(source)
    assert layout is not None
    out = torch.full((layout.height, layout.width, channels), -1.0)
    read_rows(source, layout, out)
    return out.numpy()


@pytest.mark.parametrize("accelerated", [False, True])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (43, 31), (7, 23000)])
@pytest.mark.parametrize("strip", [1, 700, 1 << 19])
def test_every_pixel_is_exact(
    accelerated: bool, kind: type, channels: int, size: tuple[int, int], strip: int, monkeypatch
) -> None:
    if accelerated:
        monkeypatch.setattr(png_read, "isal", pytest.importorskip("isal.isal_zlib"))
    else:
        monkeypatch.setattr(png_read, "isal", None)
    monkeypatch.setattr(png_read, "STRIP", strip)
    pixels = pixels_of(*size, channels, kind)
    highest = np.iinfo(kind).max
    data = written(pixels, split=97)
    np.testing.assert_array_equal(read(data, channels), pixels / np.float32(highest))
    other = read(data, 7 - channels)
    np.testing.assert_array_equal(other[..., :3], pixels[..., :3] / np.float32(highest))
    assert channels == 4 or (other[..., 3] == 1).all()


def test_flat_pictures_whose_data_are_short(monkeypatch) -> None:
    # A few compressed bytes make many strips; what is still inside the inflater has to be asked for.
    monkeypatch.setattr(png_read, "STRIP", 1000)
    pixels = np.full((600, 300, 3), 77, np.uint8)
    np.testing.assert_array_equal(read(written(pixels, split=11, filters=3), 3), pixels / np.float32(255))


def test_other_decoders_agree() -> None:
    data = written(pixels_of(40, 50, 4, np.uint8))
    theirs = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), -1), cv2.COLOR_BGRA2RGBA)
    np.testing.assert_array_equal(read(data, 4), theirs / np.float32(255))


def test_the_result_does_not_depend_on_the_way(monkeypatch) -> None:
    data = png.encode_png(torch.rand(120, 90, 3))
    direct = decode_image(data, alpha=True, max_pixels=1 << 20)
    monkeypatch.setattr("remote_upscale.nodes.media.decode.read_layout", lambda source: None)
    assert torch.equal(direct, decode_image(data, alpha=True, max_pixels=1 << 20))


def test_kinds_that_are_left_to_opencv() -> None:
    for colour, interlaced, extra in ((0, 0, b""), (3, 0, b""), (4, 0, b""), (2, 1, b""), (2, 0, bytes(6))):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, colour, 0, 0, interlaced))
        key = chunk(b"tRNS", extra) if extra else b""
        data = b"\x89PNG\r\n\x1a\n" + header + key + chunk(b"IEND", b"")
        assert read_layout(Source.in_memory(data, Path("picture"), "png")) is None


def test_data_behind_the_last_row_are_not_looked_at() -> None:
    pixels = pixels_of(20, 30, 3, np.uint8)
    np.testing.assert_array_equal(read(written(pixels, tail=bytes(5000)), 3), pixels / np.float32(255))


def damaged() -> dict[str, bytes]:
    pixels = pixels_of(60, 40, 3, np.uint8)
    sound = written(pixels)
    checksum = bytearray(sound)
    checksum[-14] ^= 1
    packed = bytearray(sound)
    packed[300] ^= 0xFF
    return {
        "a checksum of IDAT is wrong": bytes(checksum),
        "compressed data are damaged": assembled(40, 60, 3, 8, b"").replace(
            chunk(b"IDAT", zlib.compress(b"", 1)), chunk(b"IDAT", b"\x78\x01" + b"\xff" * 50)
        ),
        "rows of it are missing": assembled(40, 60, 3, 8, bytes(121 * 59)),
        "its rows are damaged": assembled(40, 60, 3, 8, bytes(121 * 59) + b"\5" + bytes(120)),
        "damaged|checksum": bytes(packed),
    }


@pytest.mark.parametrize("accelerated", [False, True])
@pytest.mark.parametrize("why", damaged())
def test_damage_is_found(why: str, accelerated: bool, monkeypatch) -> None:
    if accelerated:
        monkeypatch.setattr(png_read, "isal", pytest.importorskip("isal.isal_zlib"))
    else:
        monkeypatch.setattr(png_read, "isal", None)
    monkeypatch.setattr(png_read, "STRIP", 1000)
    with pytest.raises(BadResponse, match=why):
        decode_image(damaged()[why], alpha=False, max_pixels=1 << 20)
