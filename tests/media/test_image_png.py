"""PNG that is written in strips: valid for independent decoders, and exact."""

import io
import itertools
import struct
import zlib

import av
import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from remote_upscale.api_clients.errors import InvalidInput
from remote_upscale.nodes.media import png
from remote_upscale.nodes.media.decode import decode_image
from remote_upscale.nodes.media.png import combine_adler, encode_png


def noise(height: int, width: int, channels: int, seed: int = 0) -> torch.Tensor:
    """Smooth colours with grain, and values beyond both ends."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(-0.1, 1.1, height * width * channels, dtype=np.float32).reshape(
        height, width, channels
    )
    return torch.from_numpy(ramp + rng.normal(0, 0.05, ramp.shape).astype(np.float32))


def expected(image: torch.Tensor) -> np.ndarray:
    return np.clip(np.rint(image.float().numpy() * np.float32(255)), 0, 255).astype(np.uint8)


def by_pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image)


def by_opencv(data: bytes) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)


def by_libav(data: bytes) -> np.ndarray:
    frame = av.VideoCodecContext.create("png", "r").decode(av.Packet(data))[0]
    return frame.to_ndarray()


DECODERS = [by_pillow, by_opencv, by_libav]
SIZES = [(1, 1), (1, 7), (7, 1), (17, 4097), (4097, 17), (63, 65), (401, 301)]


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize(("size", "channels"), list(itertools.product(SIZES, [3, 4])))
def test_other_decoders_see_the_same(decode, size: tuple[int, int], channels: int, monkeypatch) -> None:
    monkeypatch.setattr(png, "STRIP", 5000)
    image = noise(*size, channels)
    np.testing.assert_array_equal(decode(encode_png(image, threads=2)), expected(image))


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 200),
    channels=st.sampled_from([3, 4]),
    strip=st.integers(1, 8000),
    threads=st.sampled_from([1, 2, 3, None]),
    dtype=st.sampled_from([torch.float16, torch.float32, torch.float64, torch.bfloat16]),
    turned=st.booleans(),
)
def test_there_and_back(height, width, channels, strip, threads, dtype, turned) -> None:
    image = noise(height, width, channels, seed=height).to(dtype)
    if turned:
        image = image.permute(1, 0, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(png, "STRIP", strip)
        data = encode_png(image, threads=threads)
    back = decode_image(data, alpha=channels == 4, max_pixels=1 << 20)
    np.testing.assert_array_equal(back.numpy(), expected(image) / np.float32(255))


def test_the_file_does_not_depend_on_the_threads() -> None:
    image = noise(900, 700, 3)
    assert encode_png(image, threads=1) == encode_png(image, threads=3)


def test_stream_and_checksums_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "STRIP", 3000)
    data = encode_png(noise(50, 70, 3))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    offset, stream, names = 8, b"", []
    while offset < len(data):
        (length,) = struct.unpack(">I", data[offset : offset + 4])
        body = data[offset + 4 : offset + 8 + length]
        assert struct.unpack(">I", data[offset + 8 + length : offset + 12 + length])[0] == zlib.crc32(body)
        names.append(body[:4])
        stream += body[4:] if body[:4] == b"IDAT" else b""
        offset += 12 + length
    assert names[0] == b"IHDR"
    assert names[-1] == b"IEND"
    assert names.count(b"IDAT") > 3
    inflate = zlib.decompressobj()
    assert len(inflate.decompress(stream)) == 50 * (70 * 3 + 1)
    assert inflate.eof  # zlib has compared the Adler-32 checksum of the whole
    assert not inflate.unused_data


def test_flat_pictures_become_small() -> None:
    image = torch.full((1024, 1024, 3), 0.25)
    assert len(encode_png(image)) < 1024 * 1024 * 3 / 100
    np.testing.assert_array_equal(by_pillow(encode_png(image)), expected(image))


def test_photographs_are_about_as_small_as_pillows() -> None:
    y, x = np.mgrid[0:600, 0:800].astype(np.float32) / 800
    smooth = np.stack([0.5 + 0.4 * np.sin(7 * x + 3 * y), 0.5 + 0.4 * np.cos(5 * y), 0.3 + 0.5 * x * y], -1)
    image = torch.from_numpy(
        (smooth + np.random.default_rng(0).normal(0, 0.012, smooth.shape)).astype(np.float32)
    )
    theirs = io.BytesIO()
    Image.fromarray(expected(image)).save(theirs, "PNG")
    assert len(encode_png(image)) <= 1.15 * theirs.tell()


@given(first=st.binary(max_size=300), second=st.binary(max_size=300))
def test_checksums_are_combined(first: bytes, second: bytes) -> None:
    joined = combine_adler(zlib.adler32(first), zlib.adler32(second), len(second))
    assert joined == zlib.adler32(first + second)


def test_checksums_of_long_strings_are_combined() -> None:
    first, second = b"\xff" * 300_001, b"\xfe" * 700_003
    assert combine_adler(zlib.adler32(first), zlib.adler32(second), len(second)) == zlib.adler32(
        first + second
    )


@pytest.mark.parametrize(
    "shape", [(4, 4), (4, 4, 1), (4, 4, 2), (4, 4, 5), (0, 4, 3), (4, 0, 3), (1, 4, 4, 3)]
)
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="shape"):
        encode_png(torch.zeros(shape))
