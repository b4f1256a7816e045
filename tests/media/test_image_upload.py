"""What is uploaded: lossless where it fits, and always said in words where it is not PNG."""

import io
import threading

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from remote_upscale.api_clients.errors import InvalidInput
from remote_upscale.api_clients.models import Limits
from remote_upscale.nodes.media.decode import decode_image
from remote_upscale.nodes.media.parallel import available_threads, in_order
from remote_upscale.nodes.media.upload import JPEG_QUALITIES, Encoded, encode_for_upload, encoded_at_once

ALL = ("png", "jpeg", "webp")


def photograph(height: int, width: int, channels: int = 3, seed: int = 0) -> torch.Tensor:
    """Smooth colours with grain; the grain is gray, so lossless WebP packs it better than PNG."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / width
    smooth = np.stack(
        [0.5 + 0.4 * np.sin(7 * x + 3 * y), 0.5 + 0.4 * np.cos(5 * y), 0.3 + 0.5 * x * y, x], -1
    )
    grain = np.random.default_rng(seed).normal(0, 0.02, (height, width, 1))
    return torch.from_numpy((smooth + grain).astype(np.float32)[..., :channels]).clamp(0, 1)


PICTURE = photograph(120, 160)


def size_of(kind: str) -> int:
    return len(encode_for_upload(PICTURE, Limits(formats=(kind,))).data)


def lossless(encoded: Encoded, image: torch.Tensor) -> bool:
    back = decode_image(encoded.data, alpha=image.shape[2] == 4, max_pixels=1 << 22)
    return bool(torch.equal(back, (image * 255).round() / 255))


@pytest.mark.parametrize("channels", [3, 4])
def test_png_where_it_fits(channels: int) -> None:
    image = photograph(50, 70, channels)
    for limits in (Limits(formats=ALL), Limits(formats=ALL, max_bytes=10**6)):
        encoded = encode_for_upload(image, limits)
        assert (encoded.format, encoded.suffix, encoded.note) == ("png", ".png", "")
        assert lossless(encoded, image)


def test_a_file_of_just_the_limit_fits() -> None:
    size = size_of("png")
    assert encode_for_upload(PICTURE, Limits(formats=ALL, max_bytes=size)).format == "png"
    assert encode_for_upload(PICTURE, Limits(formats=ALL, max_bytes=size - 1)).format == "webp"


@pytest.mark.parametrize("channels", [3, 4])
def test_lossless_webp_is_next(channels: int) -> None:
    image = photograph(120, 160, channels)
    png = len(encode_for_upload(image, Limits(formats=ALL)).data)
    encoded = encode_for_upload(image, Limits(formats=ALL, max_bytes=png - 1))
    assert (encoded.format, encoded.suffix) == ("webp", ".webp")
    back = decode_image(encoded.data, alpha=channels == 4, max_pixels=1 << 22)
    wanted = (image * 255).round() / 255
    visible = wanted[..., -1:] > 0 if channels == 4 else torch.tensor(True)
    assert torch.equal(back[..., 3:], wanted[..., 3:])
    assert torch.equal(back * visible, wanted * visible)  # under full transparency WebP keeps no colour
    assert "lossless WebP" in encoded.note
    assert "PNG" in encoded.note


def test_jpeg_is_last_and_as_good_as_fits() -> None:
    encoded = encode_for_upload(PICTURE, Limits(formats=ALL, max_bytes=size_of("webp") - 1))
    assert (encoded.format, encoded.suffix) == ("jpeg", ".jpg")
    assert f"quality {JPEG_QUALITIES[0]}" in encoded.note
    with Image.open(io.BytesIO(encoded.data)) as image:
        assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3  # 4:4:4
        best = np.asarray(image).astype(int)
    wanted = (PICTURE.numpy() * 255).round().astype(int)
    assert np.abs(best - wanted).mean() < 1.5
    smaller = encode_for_upload(PICTURE, Limits(formats=ALL, max_bytes=len(encoded.data) - 1))
    assert f"quality {JPEG_QUALITIES[1]}" in smaller.note
    assert f"{JPEG_QUALITIES[0]} " in smaller.note
    assert len(smaller.data) < len(encoded.data)


def test_only_formats_that_the_model_takes() -> None:
    assert encode_for_upload(PICTURE, Limits(formats=("jpeg",))).format == "jpeg"
    assert encode_for_upload(PICTURE, Limits(formats=("webp", "jpeg"))).format == "webp"
    assert (
        encode_for_upload(PICTURE, Limits(formats=("png", "jpeg"), max_bytes=size_of("png") - 1)).format
        == "jpeg"
    )
    assert "does not accept PNG" in encode_for_upload(PICTURE, Limits(formats=("webp",))).note


def test_what_fits_in_nothing_says_all_sizes() -> None:
    with pytest.raises(InvalidInput) as caught:
        encode_for_upload(PICTURE, Limits(formats=ALL, max_bytes=500))
    message = caught.value.message
    assert "500 bytes" in message
    for name in ("PNG", "lossless WebP", *(f"quality {quality}" for quality in JPEG_QUALITIES)):
        assert name in message
    assert "smaller" in caught.value.hint


def test_alpha_is_never_dropped_for_size() -> None:
    with pytest.raises(InvalidInput) as caught:
        encode_for_upload(photograph(120, 160, 4), Limits(formats=ALL, max_bytes=500))
    assert "JPEG" not in caught.value.message


def test_longer_than_webp_can_hold() -> None:
    image = photograph(2, 16384)
    limit = len(encode_for_upload(image, Limits(formats=ALL)).data) - 1
    assert encode_for_upload(image, Limits(formats=ALL, max_bytes=limit)).format == "jpeg"


def test_large_pictures_have_all_cores_each_and_small_ones_share_them() -> None:
    assert encoded_at_once(torch.empty(512, 512, 3)) == available_threads()
    assert encoded_at_once(torch.empty(1, 1, 3).expand(8192, 8192, 3)) == 1


def test_working_ahead_is_bounded_and_real() -> None:
    begun: list[int] = []
    third = threading.Event()

    def work(item: int) -> int:
        begun.append(item)
        if len(begun) == 3:
            third.set()
        return item * item

    results = in_order(work, range(100), threads=2, ahead=3)
    assert next(results) == 0
    assert third.wait(10)  # further items are worked on though nobody has asked for them
    assert next(results) == 1
    results.close()
    assert len(begun) <= 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]


def test_jpeg_of_opencv_has_the_colours_in_order() -> None:
    red = torch.zeros(16, 16, 3)
    red[..., 0] = 1
    data = encode_for_upload(red, Limits(formats=("jpeg",))).data
    pixel = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[8, 8]
    assert pixel[2] > 250
    assert pixel[0] < 5
