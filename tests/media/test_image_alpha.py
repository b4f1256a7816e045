"""Alpha is kept back, and comes back exactly."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from remote_upscale.nodes.media.alpha import join_alpha, split_alpha


def joined(rgb: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """A result of those colours, which had an alpha of its own, with an alpha put into it."""
    image = torch.cat([rgb.float(), torch.full((*rgb.shape[:2], 1), 0.3)], dim=-1)
    join_alpha(image, alpha)
    return image


def test_three_channels_stay_untouched() -> None:
    image = torch.rand(2, 5, 7, 3)
    rgb, alpha = split_alpha(image)
    assert alpha is None
    assert torch.equal(rgb, image)


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 99), share=st.floats(0, 1))
def test_what_is_visible_stays_exactly(height: int, width: int, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    image = torch.from_numpy(rng.random((2, height, width, 4), np.float32))
    image[..., 3][torch.from_numpy(rng.random((2, height, width)) < share)] = 0
    before = image.clone()
    rgb, alpha = split_alpha(image)
    assert alpha is not None
    assert torch.equal(image, before)
    assert torch.equal(alpha, image[..., 3])
    visible = alpha >= 0.5 / 255
    assert torch.equal(rgb[visible], image[..., :3][visible])
    assert bool(torch.isfinite(rgb).all())
    for one, colours, seen in zip(image, rgb, visible, strict=True):
        if seen.any():  # a mean of visible colours is never outside of them
            low, high = one[..., :3][seen].amin(0), one[..., :3][seen].amax(0)
            assert bool((colours >= low - 1e-4).all())
            assert bool((colours <= high + 1e-4).all())


def test_old_backgrounds_do_not_show() -> None:
    image = torch.zeros(1, 64, 64, 4)
    image[..., :3] = torch.tensor([1.0, 0.0, 1.0])
    image[:, 20:40, 20:40] = torch.tensor([0.1, 0.6, 0.2, 1.0])
    rgb, _ = split_alpha(image)
    assert float((rgb - torch.tensor([0.1, 0.6, 0.2])).abs().max()) < 1e-5


def test_the_nearest_colour_wins() -> None:
    image = torch.zeros(1, 8, 64, 4)
    image[:, :, :8] = torch.tensor([1.0, 0.0, 0.0, 1.0])
    image[:, :, 56:] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    rgb, _ = split_alpha(image)
    assert float(rgb[0, 4, 9, 0]) > 0.9
    assert float(rgb[0, 4, 54, 2]) > 0.9


def test_nothing_visible_and_colours_that_are_none() -> None:
    image = torch.full((1, 4, 4, 4), float("nan"))
    image[..., 3] = 0
    rgb, _ = split_alpha(image)
    assert bool((rgb == 0.5).all())
    image[0, 0, 0] = torch.tensor([0.25, 0.5, 0.75, 1.0])
    rgb, _ = split_alpha(image)
    assert float((rgb - torch.tensor([0.25, 0.5, 0.75])).abs().max()) < 1e-6


def test_half_precision() -> None:
    image = torch.rand(1, 6, 6, 4).half().clamp(min=0.1)
    rgb, alpha = split_alpha(image)
    assert alpha is not None
    assert torch.equal(joined(rgb[0], alpha[0]), image[0].float())


SIZES = [(7, 9), (14, 18), (28, 36), (27, 35), (3, 4), (7, 30), (13, 5), (1, 1), (511, 3)]


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_opaque_and_all_transparent_are_exact(height: int, width: int, value: float) -> None:
    rgb = torch.rand(height, width, 3)
    image = joined(rgb, torch.full((7, 9), value))
    assert torch.equal(image[..., :3], rgb)
    assert bool((image[..., 3] == value).all())


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 60), width=st.integers(1, 60), seed=st.integers(0, 99), smooth=st.booleans())
def test_scaled_alpha_stays_within_its_range(height: int, width: int, seed: int, smooth: bool) -> None:
    values = np.random.default_rng(seed).random((11, 13), np.float32)
    alpha = torch.from_numpy(values if smooth else values.round())
    scaled = joined(torch.zeros(height, width, 3), alpha)[..., 3]
    assert 0 <= float(scaled.min()) <= float(scaled.max()) <= 1


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_far_from_an_edge_alpha_is_exact_and_the_edge_stays_in_place(factor: int) -> None:
    alpha = torch.zeros(20, 20)
    alpha[:, 10:] = 1
    scaled = joined(torch.zeros(20 * factor, 20 * factor, 3), alpha)[..., 3]
    assert bool((scaled[:, : 8 * factor] == 0).all())
    assert bool((scaled[:, 12 * factor :] == 1).all())
    assert abs(float(scaled.mean()) - 0.5) < 0.001
    assert bool((scaled.diff(dim=1) >= 0).all())


def test_alpha_that_is_no_number_or_out_of_range() -> None:
    alpha = torch.tensor([[float("nan"), 2.0, -1.0, 0.5]])
    assert joined(torch.zeros(1, 4, 3), alpha)[..., 3].tolist() == [[0.0, 1.0, 0.0, 0.5]]
