"""Floats to 8 bits and back: exact for every type, layout and value."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from remote_upscale.api_clients.errors import InvalidInput
from remote_upscale.nodes.media import quantize
from remote_upscale.nodes.media.quantize import to_float, to_uint8

DTYPES = [torch.float16, torch.float32, torch.float64, torch.bfloat16]
LAYOUTS = {
    "contiguous": lambda image: image,
    "transposed": lambda image: image.permute(1, 0, 2),
    "channels first": lambda image: image.permute(2, 0, 1).contiguous().permute(1, 2, 0),
    "every second": lambda image: image[::2, ::3],
    "expanded": lambda image: image[:1].expand(5, -1, -1),
    "three of four": lambda image: torch.cat([image, image[..., :1]], -1)[..., :3],
    "batch": lambda image: image.unsqueeze(0).expand(3, -1, -1, -1),
}


def expected(image: torch.Tensor) -> np.ndarray:
    """Rounded and clamped as the words say, value by value in float32."""
    values = np.asarray(image.to(torch.float32).tolist(), np.float32).reshape(tuple(image.shape))
    with np.errstate(all="ignore"):
        scaled = np.rint(values * np.float32(255))
    return np.clip(np.where(np.isnan(scaled), 0, scaled), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_type_and_layout(dtype: torch.dtype, layout: str) -> None:
    image = torch.rand(13, 17, 3, generator=torch.Generator().manual_seed(1)) * 1.4 - 0.2
    image = LAYOUTS[layout](image.to(dtype))
    result = to_uint8(image)
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, expected(image))


@pytest.mark.parametrize("block", [8, 64, 200])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_larger_than_a_block(
    layout: str, dtype: torch.dtype, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantize, "_BLOCK", block)
    monkeypatch.setattr(quantize, "_UNSHARED", 20)
    image = torch.rand(13, 17, 3, generator=torch.Generator().manual_seed(1)) * 1.4 - 0.2
    image = LAYOUTS[layout](image.to(dtype))
    np.testing.assert_array_equal(to_uint8(image), expected(image))


@settings(max_examples=150, deadline=None)
@given(
    shape=st.lists(st.integers(0, 6), max_size=5),
    order=st.randoms(use_true_random=False),
    steps=st.lists(st.sampled_from([1, 2]), min_size=5, max_size=5),
    dtype=st.sampled_from(DTYPES),
)
def test_any_order_of_the_axes(shape: list[int], order: random.Random, steps: list[int], dtype) -> None:
    axes = list(range(len(shape)))
    order.shuffle(axes)
    image = torch.rand(shape, generator=torch.Generator().manual_seed(1)).to(dtype).permute(axes)
    image = image[tuple(slice(None, None, step) for step in steps[: len(shape)])]
    np.testing.assert_array_equal(to_uint8(image), expected(image))


def test_three_of_four_at_the_end_of_the_memory() -> None:
    # Of the last pixel there is no fourth channel.
    image = torch.as_strided(torch.rand(4 * 35 - 1), (5, 7, 3), (28, 4, 1))
    np.testing.assert_array_equal(to_uint8(image), expected(image))
    last = torch.rand(5, 7, 4)[..., 1:]
    np.testing.assert_array_equal(to_uint8(last), expected(last))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_beside_three_of_four_does_not_matter(dtype: torch.dtype) -> None:
    image = torch.rand(5, 7, 4).to(dtype)
    image[..., 3] = float("nan")
    np.testing.assert_array_equal(to_uint8(image[..., :3]), expected(image[..., :3]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_that_are_no_colours(dtype: torch.dtype) -> None:
    values = [float("nan"), float("inf"), float("-inf"), 6e4, -6e4, -0.001, 1.001, 0.0, 1.0]
    assert to_uint8(torch.tensor(values, dtype=dtype)).tolist() == [0, 255, 0, 255, 0, 0, 255, 0, 255]


@pytest.mark.parametrize("huge", [8.5e6, 1.7e7, 1e10, 3e38])
def test_huge_values_do_not_wrap(huge: float) -> None:
    assert to_uint8(torch.tensor([huge, -huge, 0.5])).tolist() == [255, 0, 128]


def test_float64_beyond_float32() -> None:
    assert to_uint8(np.array([1e300, -1e300, 0.2])).tolist() == [255, 0, 51]
    assert to_uint8(torch.tensor([1e300, -1e300, 0.2], dtype=torch.float64)).tolist() == [255, 0, 51]


def test_arrays_of_any_stride() -> None:
    values = np.linspace(-0.5, 1.5, 360, dtype=np.float32).reshape(10, 12, 3)
    np.testing.assert_array_equal(
        to_uint8(values[::-1, ::-2]), expected(torch.from_numpy(values[::-1, ::-2].copy()))
    )


def test_into_given_memory() -> None:
    image = torch.rand(5, 7, 3)
    out = np.empty((5, 7, 3), np.uint8)
    assert to_uint8(image, out) is out
    back = torch.empty(5, 7, 3)
    assert to_float(out, back) is back
    np.testing.assert_array_equal(back.numpy(), expected(image) / np.float32(255))
    with pytest.raises(ValueError, match="contiguous"):
        to_uint8(image, np.empty((7, 5, 3), np.uint8))


def test_gradients_are_no_hindrance() -> None:
    assert to_uint8(torch.ones(2, 2, 3, requires_grad=True)).min() == 255


def test_integers_are_refused() -> None:
    with pytest.raises(InvalidInput, match="uint8"):
        to_uint8(torch.zeros(2, 2, 3, dtype=torch.uint8))
    with pytest.raises(InvalidInput, match="int32"):
        to_float(np.zeros((2, 2), np.int32))


def test_all_codes_are_exact() -> None:
    codes = np.arange(256, dtype=np.uint8)
    assert to_float(codes).tolist() == [float(np.float32(v / 255)) for v in range(256)]
    assert to_uint8(to_float(codes)).tolist() == codes.tolist()
    deep = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(
        to_float(deep).numpy(), (deep.astype(np.float64) / 65535).astype(np.float32)
    )


@settings(max_examples=40, deadline=None)
@given(
    shape=st.lists(st.integers(0, 9), min_size=0, max_size=5).map(tuple),
    step=st.sampled_from([1, 2]),
    deep=st.booleans(),
)
def test_integers_of_every_shape(shape: tuple[int, ...], step: int, deep: bool) -> None:
    kind = np.uint16 if deep else np.uint8
    pixels = np.random.default_rng(3).integers(0, np.iinfo(kind).max + 1, shape, dtype=kind)
    if shape:
        pixels = pixels[..., ::step]
    result = to_float(pixels)
    assert result.shape == pixels.shape
    np.testing.assert_array_equal(result.numpy(), pixels.astype(np.float32) / np.float32(np.iinfo(kind).max))
