"""What a picture shows has one digest, however it was encoded."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageCms, PngImagePlugin
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
