"""What a picture shows has one digest, however it was encoded."""

import struct
import zlib
from itertools import product

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageCms, PngImagePlugin
from remote_upscale.api_clients.files import pixel_digest
from remote_upscale.api_clients.files.pixel_digest import content_digest, pixels_digest
from remote_upscale.api_clients.files.spliced_file import SplicedFile
from remote_upscale.api_clients.files.strip import without_metadata
from remote_upscale.nodes.media.png import encode_png

PLENTY = 10**9


def digest(path, kind="png"):
    return content_digest(without_metadata(path, kind), kind, max_pixels=PLENTY)


@pytest.fixture
def pixels():
    return np.random.default_rng(7).integers(0, 256, (24, 17, 3), np.uint8)


@pytest.fixture
def save(tmp_path):
    """Saves a picture under a name of its own, and gives the path."""
    made = iter(range(1000))

    def one(image, kind="png", **options):
        path = tmp_path / f"{next(made)}.{kind}"
        image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
        image.save(path, **options)
        return path

    return one


SIDES = st.tuples(st.integers(1, 9), st.integers(1, 9))
SHAPES = st.sampled_from([(), (2,), (3,), (4,)]).flatmap(
    lambda channels: SIDES.map(lambda sides: sides + channels)
)


@settings(max_examples=40, deadline=None)
@given(SHAPES.flatmap(lambda shape: arrays.arrays(np.uint8, shape)), st.integers(0, 9))
def test_pixels_decide(tmp_path_factory, array, level):
    folder = tmp_path_factory.mktemp("content")
    mode = {2: "L", 3: "RGB"}.get(array.ndim, "")
    if array.ndim == 3:
        mode = {2: "LA", 3: "RGB", 4: "RGBA"}[array.shape[2]]
    path = folder / "a.png"
    Image.fromarray(array, mode=mode).save(path, compress_level=level)
    if mode in ("RGB", "RGBA"):
        assert digest(path) == pixels_digest(array)
    elif mode == "L":
        assert digest(path) == pixels_digest(array[:, :, None])
    other = folder / "b.png"
    Image.fromarray(array, mode=mode).save(other, optimize=True)
    assert digest(other) == digest(path)


def test_who_wrote_it_does_not_matter(save, tmp_path, pixels):
    by_pillow = save(pixels)
    by_opencv = tmp_path / "opencv.png"
    cv2.imwrite(str(by_opencv), pixels[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    by_us = tmp_path / "us.png"
    by_us.write_bytes(encode_png(torch.from_numpy(pixels.astype(np.float32) / 255)))
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "{}")
    with_text = save(pixels, pnginfo=info, dpi=(72, 72))
    lossless = save(pixels, "webp", lossless=True)
    assert len({digest(path) for path in (by_pillow, by_opencv, by_us, with_text)}) == 1
    assert digest(lossless, "webp") == digest(by_pillow) == pixels_digest(pixels)


def test_a_palette_counts_as_what_it_shows(save, pixels):
    few = Image.fromarray(pixels).quantize(16)
    assert digest(save(few)) == digest(save(few.convert("RGB")))


def test_sixteen_bits_are_not_eight(tmp_path, pixels):
    deep = tmp_path / "deep.png"
    cv2.imwrite(str(deep), (pixels[:, :, ::-1].astype(np.uint16) * 257))
    assert digest(deep) == pixels_digest(pixels.astype(np.uint16) * 257) != pixels_digest(pixels)


def profile(gamut):
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(gamut)).tobytes()


def test_what_changes_the_look_changes_the_digest(save, pixels):
    changed = pixels.copy()
    changed[3, 4, 1] ^= 1
    turned = Image.Exif()
    turned[0x0112] = 6
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"gAMA", (100000).to_bytes(4, "big"))
    pictures = [
        save(pixels),
        save(changed),
        save(pixels[:, :, 0]),
        save(np.dstack([pixels, np.full((24, 17), 255, np.uint8)])),
        save(pixels.reshape(17, 24, 3)),
        save(pixels, icc_profile=profile("sRGB")),
        save(pixels, icc_profile=profile("LAB")),
        save(pixels, exif=turned),
        save(pixels, pnginfo=chunks),
    ]
    assert len({digest(path) for path in pictures}) == len(pictures)


def test_saying_srgb_changes_nothing(save, pixels):
    for name, content in ((b"sRGB", b"\0"), (b"gAMA", (45455).to_bytes(4, "big"))):
        info = PngImagePlugin.PngInfo()
        info.add(name, content)
        assert digest(save(pixels, pnginfo=info)) == digest(save(pixels))


def by_bytes(path, kind):
    spliced = without_metadata(path, kind)
    return digest(path, kind) == spliced.sha256()


def test_lossy_pictures_count_by_their_bytes(save, pixels):
    assert by_bytes(save(pixels, "jpeg"), "jpeg")
    assert by_bytes(save(pixels, "webp", quality=80), "webp")


def test_animations_keyed_and_damaged_pictures_count_by_their_bytes(save, pixels, tmp_path):
    frames = [Image.fromarray(pixels), Image.fromarray(pixels[::-1])]
    assert by_bytes(save(frames[0], save_all=True, append_images=frames[1:]), "png")
    assert by_bytes(save(frames[0], "webp", save_all=True, append_images=frames[1:], lossless=True), "webp")
    assert by_bytes(save(Image.fromarray(pixels[:, :, 0]), transparency=7), "png")
    assert by_bytes(save(Image.fromarray(pixels), transparency=(1, 2, 3)), "png")
    whole = bytearray(save(pixels).read_bytes())
    start = whole.index(b"IDAT") + 6
    whole[start : start + 20] = bytes(20)
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(whole)
    assert by_bytes(damaged, "png")


def test_what_is_too_large_is_not_decoded(save, pixels):
    spliced = without_metadata(save(pixels), "png")
    assert content_digest(spliced, "png", max_pixels=24 * 17 - 1) == spliced.sha256()


def test_a_clip_counts_by_its_bytes(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(bytes(100))
    spliced = SplicedFile.whole(path)
    assert content_digest(spliced, "mp4", max_pixels=PLENTY) == spliced.sha256()


def test_pixels_in_any_layout_have_the_digest_of_their_values(pixels):
    turned = np.asfortranarray(pixels)
    assert pixels_digest(turned) == pixels_digest(pixels)
    deep = pixels.astype(np.uint16)
    assert pixels_digest(deep.astype(">u2")) == pixels_digest(deep)


CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def random_png(path, colour, depth, size, *, interlaced=False, palette=0, between=(), seed=3):
    """A PNG of noise in any form there is; ``palette`` colours, and ``between`` IHDR and the pixels."""
    rng, (width, height) = np.random.default_rng(seed), size
    rows = b""
    for x, y, across, down in PASSES if interlaced else ((0, 0, 1, 1),):
        columns = len(range(x, width, across))
        for _ in range(y, height, down) if columns else ():
            if palette:  # each pixel one of its colours
                bits = "".join(f"{pixel:0{depth}b}" for pixel in rng.integers(0, palette, columns))
                rows += b"\0" + int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8))
            else:
                rows += bytes([rng.integers(5)]) + rng.bytes((columns * CHANNELS[colour] * depth + 7) // 8)
    chunks = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))]
    chunks += [chunk(b"PLTE", rng.bytes(3 * palette))] if palette else []
    chunks += [chunk(name, data) for name, data in between]
    chunks += [chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


@pytest.fixture
def by_libav(monkeypatch):
    """The digest of a picture that libav decodes, whatever it is."""

    def one(path, kind="png"):
        with monkeypatch.context() as patch:
            patch.setattr(pixel_digest, "_by_pillow", lambda *_: None)
            return digest(path, kind)

    return one


FORMS = [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (4, 8), (4, 16), (6, 8), (6, 16)]


@pytest.mark.parametrize("form", FORMS)
def test_every_decoder_comes_to_the_same_digest(tmp_path, by_libav, form):
    for size in ((1, 1), (7, 5), (33, 18), (900, 700)):
        path = random_png(tmp_path / "a.png", *form, size)
        assert digest(path) == by_libav(path)
        assert digest(path) != SplicedFile.whole(path).sha256(), "it was not decoded"


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_every_decoder_comes_to_the_same_digest_of_a_palette(tmp_path, by_libav, depth):
    alphas = [(), ((b"tRNS", bytes([7])),), ((b"tRNS", bytes(range(256))[-(2**depth) :]),)]
    for size, between in product(((1, 1), (7, 5), (33, 18)), alphas):
        for palette in {2**depth, max(1, 2**depth - 3)}:
            fitting = tuple((name, data[:palette]) for name, data in between)
            path = random_png(tmp_path / "a.png", 3, depth, size, palette=palette, between=fitting)
            assert digest(path) == by_libav(path)
            assert digest(path) != SplicedFile.whole(path).sha256(), "it was not decoded"


def test_every_decoder_comes_to_the_same_digest_of_odd_pictures(tmp_path, by_libav, save, pixels):
    still = (b"acTL", struct.pack(">II", 1, 0))
    interlaced = [
        random_png(
            tmp_path / f"{colour}-{depth}.png", colour, depth, (33, 18), interlaced=True, palette=number
        )
        for colour, depth, number in (
            (0, 1, 0),
            (0, 8, 0),
            (2, 8, 0),
            (4, 8, 0),
            (6, 8, 0),
            (3, 8, 9),
            (3, 4, 9),
        )
    ]
    for made in (
        *interlaced,
        random_png(tmp_path / "one.png", 4, 8, (1, 1), interlaced=True),
        random_png(tmp_path / "1.png", 3, 8, (9, 9), between=((b"PLTE", bytes(range(30))),)),
        random_png(tmp_path / "2.png", 2, 8, (9, 9), between=((b"PLTE", bytes(range(30))),)),
        random_png(tmp_path / "3.png", 2, 8, (9, 9), between=(still,)),
        random_png(
            tmp_path / "4.png", 0, 4, (9, 9), between=((b"iCCP", b"a\0\0" + zlib.compress(profile("sRGB"))),)
        ),
        random_png(tmp_path / "5.png", 6, 8, (9, 9), between=((b"sBIT", b"\5\5\5\5"), (b"bKGD", bytes(6)))),
        save(pixels, exif=Image.Exif()),
        save(Image.fromarray(pixels).quantize(100), transparency=3),
    ):
        assert digest(made) == by_libav(made)
    for options in ({}, {"exact": True}, {"icc_profile": profile("LAB")}):
        clear = np.dstack([pixels, pixels[:, :, 0]])
        for image in (pixels, clear):
            made = save(image, "webp", lossless=True, **options)
            assert digest(made, "webp") == by_libav(made, "webp")


def test_a_process_that_wants_damaged_pictures_gets_the_same_digests(save, pixels, tmp_path, monkeypatch):
    whole = save(pixels)
    cut = bytearray(whole.read_bytes())
    cut[-300:-200] = bytes(100)
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(cut)
    before = digest(whole), digest(damaged)
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
    assert (digest(whole), digest(damaged)) == before
