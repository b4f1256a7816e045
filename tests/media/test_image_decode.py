"""Pictures of every kind to tensors, compared with independent decoders."""

import io
import itertools
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps
from remote_upscale.api_clients.errors import BadResponse, InvalidInput
from remote_upscale.nodes.media import decode
from remote_upscale.nodes.media.decode import decode_image

LIMIT = 1 << 22
RNG = np.random.default_rng(5)
COLOURS = cv2.GaussianBlur(RNG.integers(0, 256, (37, 51, 3), dtype=np.uint8), (0, 0), 2)
COLOURS = cv2.normalize(COLOURS, None, 0, 255, cv2.NORM_MINMAX)
ALPHA = RNG.integers(0, 256, (37, 51), dtype=np.uint8)


@pytest.fixture(scope="module", params=["by OpenCV", "in strips"], autouse=True)
def way(request):
    """PNG is read in strips where isal is installed, else by OpenCV as a whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "isal", zlib if request.param == "in strips" else None)
        yield


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def by_pillow(data: bytes, mode: str) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.array(ImageOps.exif_transpose(image).convert(mode))


def decoded(data: bytes, *, alpha: bool = False) -> np.ndarray:
    result = decode_image(data, alpha=alpha, max_pixels=LIMIT)
    assert result.dtype == torch.float32
    assert result.is_contiguous()
    return result.numpy()


def exactly(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def with_chunk(data: bytes, name: bytes, body: bytes) -> bytes:
    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return data[:33] + chunk + data[33:]


RGB = Image.fromarray(COLOURS)
RGBA = Image.fromarray(np.dstack([COLOURS, ALPHA]))
GRAY = Image.fromarray(COLOURS[..., 0])
GRAY_ALPHA = Image.merge("LA", [GRAY, Image.fromarray(ALPHA)])
PALETTE = RGB.quantize(100)
FILES = {
    "png rgb": saved(RGB, "PNG"),
    "png rgba": saved(RGBA, "PNG"),
    "png gray": saved(GRAY, "PNG"),
    "png gray alpha": saved(GRAY_ALPHA, "PNG"),
    "png gray key": saved(GRAY, "PNG", transparency=int(COLOURS[9, 9, 0])),
    "png rgb key": saved(RGB, "PNG", transparency=tuple(int(v) for v in COLOURS[9, 9])),
    "png palette": saved(PALETTE, "PNG"),
    "png palette alpha": saved(PALETTE, "PNG", transparency=bytes(range(0, 200, 2))),
    "png 4 bits": saved(RGB.quantize(13), "PNG", bits=4),
    "png 1 bit": saved(GRAY.convert("1"), "PNG"),
    "jpeg": saved(RGB, "JPEG", quality=93, subsampling=0),
    "jpeg 4:2:0": saved(RGB, "JPEG", quality=80, subsampling=2),
    "jpeg progressive": saved(RGB, "JPEG", progressive=True),
    "jpeg gray": saved(GRAY, "JPEG"),
    "jpeg inks": saved(RGB.convert("CMYK"), "JPEG", quality=95),
    "webp": saved(RGB, "WEBP", quality=90),
    "webp lossless": saved(RGB, "WEBP", lossless=True),
    "webp alpha": saved(RGBA, "WEBP", lossless=True, exact=True),
    "webp lossy alpha": saved(RGBA, "WEBP", quality=80),
}


@pytest.mark.parametrize("name", FILES)
def test_colours_are_those_of_pillow(name: str) -> None:
    # Pillow leaves the alpha out on the way to RGB just so.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = by_pillow(FILES[name], "RGB")
    np.testing.assert_array_equal(decoded(FILES[name]), exactly(reference))


@pytest.mark.parametrize("name", FILES)
def test_alpha_is_that_of_pillow(name: str) -> None:
    reference = by_pillow(FILES[name], "RGBA")
    np.testing.assert_array_equal(decoded(FILES[name], alpha=True), exactly(reference))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("alpha", [False, True])
def test_it_is_decoded_into_the_memory_at_hand(name: str, alpha: bool) -> None:
    batch = torch.full((3, *COLOURS.shape[:2], 4 if alpha else 3), 7.0)

    def row(height: int, width: int) -> torch.Tensor:
        assert (height, width) == COLOURS.shape[:2]
        return batch[1]

    image = decode_image(FILES[name], alpha=alpha, max_pixels=LIMIT, allocate=row)
    assert image.data_ptr() == batch[1].data_ptr()
    assert torch.equal(batch[1], decode_image(FILES[name], alpha=alpha, max_pixels=LIMIT))
    assert bool((batch[::2] == 7).all())


def test_a_path_is_as_good_as_bytes(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(FILES["png rgba"])
    result = decode_image(path, alpha=True, max_pixels=LIMIT)
    np.testing.assert_array_equal(result.numpy(), decoded(FILES["png rgba"], alpha=True))
    with pytest.raises(InvalidInput, match="missing"):
        decode_image(tmp_path / "missing.png", alpha=False, max_pixels=LIMIT)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("alpha", [False, True])
def test_16_bits_stay_16_bits(channels: int, alpha: bool) -> None:
    deep = RNG.integers(0, 65536, (19, 23, channels), dtype=np.uint16)
    data = cv2.imencode(".png", deep)[1].tobytes()
    colours = deep[..., 2::-1] if channels >= 3 else np.repeat(deep, 3, axis=2)
    mask = deep[..., 3:] if channels == 4 else np.full((19, 23, 1), 65535, np.uint16)
    reference = np.concatenate([colours, mask], axis=2) if alpha else colours
    np.testing.assert_array_equal(decoded(data, alpha=alpha), exactly(reference))


@pytest.mark.parametrize("depth", [1, 2, 4, 16])
def test_transparent_gray_of_other_depths(depth: int) -> None:
    width, highest = 16, (1 << depth) - 1
    values = (np.arange(width) * 7919 % (highest + 1)).astype(np.uint32)
    bits = "".join(format(v, f"0{depth}b") for v in values)
    row = b"\0" + int(bits, 2).to_bytes(width * depth // 8, "big")
    data = (
        b"\x89PNG\r\n\x1a\n"
        + with_chunk(bytes(33), b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, 0, 0, 0, 0))[33:]
    )
    for name, body in (
        (b"tRNS", int(values[3]).to_bytes(2, "big")),
        (b"IDAT", zlib.compress(row)),
        (b"IEND", b""),
    ):
        data += with_chunk(bytes(33), name, body)[33:]
    result = decoded(data, alpha=True)[0]
    np.testing.assert_allclose(result[:, 0], values / highest, atol=1e-7)
    np.testing.assert_array_equal(result[:, 3], (values != values[3]).astype(np.float32))


@pytest.mark.parametrize(
    ("orientation", "kind"), list(itertools.product(range(1, 9), ["PNG", "JPEG", "WEBP"]))
)
def test_turned_upright(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = saved(RGB, kind, exif=exif, **lossless)
    reference = by_pillow(data, "RGB")
    assert reference.shape == ((37, 51, 3) if orientation < 5 else (51, 37, 3))
    np.testing.assert_array_equal(decoded(data), exactly(reference))


def test_alpha_is_turned_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(RGBA, "PNG", exif=exif)
    np.testing.assert_array_equal(decoded(data, alpha=True), exactly(by_pillow(data, "RGBA")))


# Profiles


def fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def matrix_profile(columns: list[tuple[float, float, float]], gamma: float | np.ndarray) -> bytes:
    """An ICC v2 display profile: XYZ (D50) of the three primaries, and one gamma or a table of 0..1."""
    description = b"desc" + bytes(4) + struct.pack(">I", 5) + b"Test\0" + bytes(78)
    if isinstance(gamma, np.ndarray):
        table = (gamma * 65535).round().astype(">u2")
        curve = b"curv" + bytes(4) + struct.pack(">I", len(table)) + table.tobytes()
    else:
        curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    tags = [(b"desc", description), (b"cprt", b"text" + bytes(4) + b"none\0\0\0\0")]
    tags += [(b"wtpt", b"XYZ " + bytes(4) + fixed(0.9642) + fixed(1) + fixed(0.8249))]
    tags += [
        (n, b"XYZ " + bytes(4) + b"".join(map(fixed, c)))
        for n, c in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
    ]
    tags += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    return icc(b"RGB ", tags)


def gray_profile(gamma: float) -> bytes:
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    description = b"desc" + bytes(4) + struct.pack(">I", 5) + b"Test\0" + bytes(78)
    white = b"XYZ " + bytes(4) + fixed(0.9642) + fixed(1) + fixed(0.8249)
    return icc(b"GRAY", [(b"desc", description), (b"wtpt", white), (b"kTRC", curve)])


def icc(space: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags:
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"lcms", 0x02400000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += fixed(0.9642) + fixed(1) + fixed(0.8249)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


ADOBE = matrix_profile(
    [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)], 563 / 256
)
WIDE = matrix_profile(
    [(0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)], 2.2
)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SRGB_D50 = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])


def converted(pixels: np.ndarray, profile: bytes, mode: str = "RGB") -> np.ndarray:
    """By littlecms in one go."""
    return np.array(
        ImageCms.profileToProfile(
            Image.fromarray(pixels) if mode != "CMYK" else Image.fromarray(pixels).convert("CMYK"),
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    )


@pytest.mark.parametrize("profile", [ADOBE, WIDE], ids=["adobe", "p3"])
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_profiles_are_converted_to_srgb(profile: bytes, kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(RGB, kind, icc_profile=profile, **options)
    plain = by_pillow(data, "RGB")
    result = decoded(data)
    np.testing.assert_array_equal(result, exactly(converted(plain, profile)))
    assert np.abs(result - exactly(plain)).max() > 0.03


def test_the_conversion_is_the_one_of_the_textbook() -> None:
    muted = (COLOURS // 2 + 64).astype(np.uint8)
    data = saved(Image.fromarray(muted), "PNG", icc_profile=ADOBE)
    linear = (muted / 255.0) ** (563 / 256)
    primaries = np.array(
        [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)]
    ).T
    srgb = np.clip(linear @ (np.linalg.inv(SRGB_D50) @ primaries).T, 0, 1)
    coded = np.where(srgb <= 0.0031308, 12.92 * srgb, 1.055 * srgb ** (1 / 2.4) - 0.055)
    assert np.abs(decoded(data) - coded).max() < 1.6 / 255


def test_profiles_leave_alpha_alone() -> None:
    result = decoded(saved(RGBA, "PNG", icc_profile=ADOBE), alpha=True)
    np.testing.assert_array_equal(result[..., 3], exactly(ALPHA))
    np.testing.assert_array_equal(result[..., :3], exactly(converted(COLOURS, ADOBE)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_srgb_pictures_stay_bit_exact(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(RGB, kind, icc_profile=SRGB, **options)
    np.testing.assert_array_equal(decoded(data), exactly(by_pillow(data, "RGB")))


def test_srgb_by_another_maker_stays_bit_exact() -> None:
    coded = np.linspace(0, 1, 24)  # few points, so that codes are missed by rounding
    curve = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    columns = [tuple(column) for column in SRGB_D50.T]
    profile = matrix_profile(columns, curve)
    assert np.abs(converted(COLOURS, profile).astype(int) - COLOURS).max() == 1  # it does round differently
    np.testing.assert_array_equal(decoded(saved(RGB, "PNG", icc_profile=profile)), exactly(COLOURS))


def test_gray_profiles() -> None:
    result = decoded(saved(GRAY, "PNG", icc_profile=gray_profile(1.8)))
    linear = (COLOURS[..., 0] / 255.0) ** (round(1.8 * 256) / 256)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(result - coded[..., None]).max() < 1.6 / 255
    np.testing.assert_array_equal(result, exactly(converted(COLOURS[..., 0], gray_profile(1.8))))


def test_profiles_of_another_kind_of_pixels_or_damaged_ones_are_ignored() -> None:
    inks = ADOBE[:16] + b"CMYK" + ADOBE[20:]
    for profile in (gray_profile(1.8), gray_profile(1.0)[:90], ADOBE[:150], b"x" * 500, inks):
        data = saved(RGB, "PNG", icc_profile=profile)
        np.testing.assert_array_equal(decoded(data), exactly(COLOURS))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_profile_for_colours_is_not_for_gray_pictures(kind: str) -> None:
    data = saved(GRAY, kind, icc_profile=ADOBE)
    np.testing.assert_array_equal(decoded(data), exactly(by_pillow(data, "RGB")))


def test_16_bits_with_a_profile() -> None:
    deep = COLOURS.astype(np.uint16) * 257
    data = cv2.imencode(".png", deep[..., ::-1])[1].tobytes()
    data = with_chunk(data, b"iCCP", b"Adobe\0\0" + zlib.compress(ADOBE))
    assert np.abs(decoded(data) - exactly(converted(COLOURS, ADOBE))).max() <= 1.01 / 255


# Damage


@pytest.mark.parametrize("name", FILES)
def test_cut_off_anywhere(name: str) -> None:
    data = FILES[name]
    for length in [*range(0, 60, 3), *range(60, len(data) - 1, 1 + len(data) // 60), len(data) - 2]:
        with pytest.raises(BadResponse):
            decode_image(data[:length], alpha=True, max_pixels=LIMIT)


@pytest.mark.parametrize("name", FILES)
def test_flipped_bits_end_in_a_picture_or_our_error(name: str) -> None:
    rng = np.random.default_rng(len(name))
    sound = 0
    for _ in range(60):
        data = bytearray(FILES[name])
        for position in rng.integers(0, len(data), rng.integers(1, 4)):
            data[position] ^= 1 << int(rng.integers(0, 8))
        try:
            result = decode_image(bytes(data), alpha=bool(rng.integers(0, 2)), max_pixels=LIMIT)
        except BadResponse:
            continue
        sound += 1
        assert result.ndim == 3
        assert bool(torch.isfinite(result).all())
        assert 0 <= float(result.min()) <= float(result.max()) <= 1
    assert sound < 60


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_random_bytes_in_the_middle(data: st.DataObject) -> None:
    file = FILES[data.draw(st.sampled_from(sorted(FILES)))]
    start = data.draw(st.integers(0, len(file)))
    stop = data.draw(st.integers(start, len(file)))
    broken = file[:start] + data.draw(st.binary(max_size=40)) + file[stop:]
    try:
        result = decode_image(broken, alpha=data.draw(st.booleans()), max_pixels=LIMIT)
    except BadResponse:
        return
    assert result.shape[2] in {3, 4}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_bombs_are_refused_before_decoding(kind: str) -> None:
    data = saved(Image.new("RGB", (3000, 2000)), kind)
    with pytest.raises(BadResponse, match="3000 x 2000"):
        decode_image(data, alpha=False, max_pixels=3000 * 2000 - 1)
    assert decode_image(data, alpha=False, max_pixels=3000 * 2000).shape == (2000, 3000, 3)


def test_a_header_that_promises_more_than_there_is() -> None:
    body = struct.pack(">II", 2000, 2000) + FILES["png rgb"][24:29]
    data = (
        FILES["png rgb"][:16] + body + struct.pack(">I", zlib.crc32(b"IHDR" + body)) + FILES["png rgb"][33:]
    )
    with pytest.raises(BadResponse):
        decode_image(data, alpha=False, max_pixels=LIMIT)


def test_a_profile_that_unpacks_to_gigabytes() -> None:
    bomb = zlib.compress(bytes(64 << 20))
    data = with_chunk(FILES["png rgb"], b"iCCP", b"x\0\0" + bomb)
    np.testing.assert_array_equal(decoded(data), exactly(COLOURS))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused(kind: str) -> None:
    data = saved(RGB, kind, save_all=True, append_images=[RGB.rotate(90), RGB.rotate(180)])
    with pytest.raises(BadResponse, match="animated"):
        decode_image(data, alpha=False, max_pixels=LIMIT)


@pytest.mark.parametrize("data", [b"", b"GIF89a" + bytes(50), b"<html>not found</html>", saved(RGB, "BMP")])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(BadResponse):
        decode_image(data, alpha=False, max_pixels=LIMIT)
