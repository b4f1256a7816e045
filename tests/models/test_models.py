"""The eight declarations, and the rules that parameters have together."""

from decimal import Decimal

import pytest
from remote_upscale.api_clients.errors import InvalidParameter
from remote_upscale.api_clients.registry import MODELS, PROVIDERS, find_model

CONTRACT = {
    "pixazo/seedvr2-3b-image": ("RemoteUpscalePixazoSeedVR2Image", "image"),
    "pixazo/seedvr2-3b-video": ("RemoteUpscalePixazoSeedVR2Video", "video"),
    "pixazo/seedvr2-7b-image": ("RemoteUpscalePixazoSeedVR2Image7B", "image"),
    "pixazo/topaz-video": ("RemoteUpscalePixazoTopazVideo", "video"),
    "pixazo/crystal-image": ("RemoteUpscalePixazoCrystalImage", "image"),
    "apixo/image-upscaler": ("RemoteUpscaleApixoImage", "image"),
    "fal/seedvr2-image": ("RemoteUpscaleFalSeedVR2Image", "image"),
    "fal/seedvr2-seamless": ("RemoteUpscaleFalSeedVR2Seamless", "image"),
}


def test_ids_may_never_vanish():
    assert {model.id: (model.node_id, model.media) for model in MODELS.values()} == CONTRACT


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_declarations_are_whole(model):
    assert model.provider in PROVIDERS
    assert model.endpoint.startswith("/")
    names = [parameter.name for parameter in model.parameters]
    assert len(names) == len(set(names))
    for parameter in model.parameters:
        assert len(parameter.help) > 20
        assert parameter.help.endswith(".") or parameter.help.endswith(")")
        assert parameter.default is None or parameter.check(parameter.default) == parameter.default
        if parameter.only_with:
            other, value = parameter.only_with
            assert model.parameter(other).check(value) == value


REFUSED = {
    "target without its mode": (
        "pixazo/seedvr2-3b-video",
        {"target_resolution": "720p"},
        "target_resolution is 720p, but it is only used with upscale_mode=target, "
        "and upscale_mode is factor.",
    ),
    "callback_url without callback": (
        "apixo/image-upscaler",
        {"callback_url": "https://a.example"},
        "callback_url is https://a.example, but it is only used with request_type=callback, "
        "and request_type is async.",
    ),
    "callback without callback_url": (
        "apixo/image-upscaler",
        {"request_type": "callback"},
        "callback_url is missing; it must be an https:// address.",
    ),
    "3B video stops at 4": (
        "pixazo/seedvr2-3b-video",
        {"upscale_factor": 5},
        "upscale_factor is 5, but it must be a number from 1 to 4.",
    ),
    "3B image stops at 8": (
        "pixazo/seedvr2-3b-image",
        {"upscale_factor": 8.5},
        "upscale_factor is 8.5, but it must be a number from 1 to 8.",
    ),
    "3B says jpg": (
        "pixazo/seedvr2-3b-image",
        {"output_format": "jpeg"},
        "output_format is jpeg, but it must be jpg, png or webp.",
    ),
    "7B says jpeg": (
        "pixazo/seedvr2-7b-image",
        {"output_format": "jpg"},
        "output_format is jpg, but it must be jpeg, png or webp.",
    ),
    "7B pixels": (
        "pixazo/seedvr2-7b-image",
        {"res_h": 255},
        "res_h is 255, but it must be a whole number from 256 to 4096.",
    ),
    "Topaz": ("pixazo/topaz-video", {"upscale_factor": 3}, "upscale_factor is 3, but it must be 2 or 4."),
    "Crystal": (
        "pixazo/crystal-image",
        {"scale_factor": 3},
        "scale_factor is 3, but it must be 2, 4, 6 or 8.",
    ),
    "fal's step": (
        "fal/seedvr2-image",
        {"noise_scale": 0.0001},
        "noise_scale is 0.0001, but it must be a number from 0 to 1 in steps of 0.001.",
    ),
    "seamless says jpeg": (
        "fal/seedvr2-seamless",
        {"output_format": "jpg"},
        "output_format is jpg, but it must be png, jpeg or webp.",
    ),
    "unknown name": (
        "pixazo/topaz-video",
        {"upscale_facter": 2},
        "pixazo/topaz-video has no parameter upscale_facter.",
    ),
}


@pytest.mark.parametrize(("model_id", "given", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_before_anything_is_sent(model_id, given, message):
    with pytest.raises(InvalidParameter) as caught:
        find_model(model_id).check(given)
    assert caught.value.message == message


def test_unknown_names_are_guessed():
    with pytest.raises(InvalidParameter, match="Did you mean upscale_factor"):
        find_model("pixazo/topaz-video").check({"upscale_facter": 2})
    with pytest.raises(InvalidParameter, match="Did you mean fal/seedvr2-image"):
        find_model("fal/seedvr-image")
    with pytest.raises(InvalidParameter, match="There are: pixazo/seedvr2-3b-image, "):
        find_model("qqq")


def test_none_counts_as_not_set():
    model = find_model("fal/seedvr2-image")
    assert model.check({"seed": None, "upscale_factor": None}) == model.check({})


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_effective_parameters_are_a_fixed_point_in_page_order(model):
    values = model.check({}).values
    assert model.check(values).values == values
    order = [parameter.name for parameter in model.parameters]
    assert list(values) == sorted(values, key=order.index)


SIZES = [
    ("pixazo/seedvr2-3b-image", {"upscale_factor": 2.5}, (100, 50), (250, 125), True),
    ("pixazo/seedvr2-3b-image", {"upscale_mode": "target"}, (1920, 540), (3840, 1080), False),
    ("pixazo/seedvr2-7b-image", {"res_w": 1000, "res_h": 900}, (10, 10), (1000, 900), True),
    ("pixazo/seedvr2-7b-image", {"res_w": 1000}, (500, 300), (1000, 600), False),
    ("pixazo/seedvr2-7b-image", {"res_h": 600}, (500, 300), (1000, 600), False),
    ("pixazo/seedvr2-7b-image", {}, (500, 300), (1000, 600), True),
    ("pixazo/topaz-video", {"upscale_factor": 4}, (1280, 720), (5120, 2880), True),
    ("pixazo/crystal-image", {"scale_factor": 8}, (10, 20), (80, 160), True),
    ("apixo/image-upscaler", {"resolution": "8k"}, (400, 100), (8192, 2048), False),
]


@pytest.mark.parametrize(("model_id", "given", "size", "expected", "exact"), SIZES)
def test_expected_sizes(model_id, given, size, expected, exact):
    model = find_model(model_id)
    got = model.sizing.expect(model.check(given).values, size)
    assert (got.size, got.exact) == (expected, exact)


def test_plausible_sizes():
    model = find_model("pixazo/topaz-video")
    expected = model.sizing.expect({"upscale_factor": 2}, (1000, 600))
    assert expected.plausible((2000, 1200))
    assert expected.plausible((2016, 1184))
    assert not expected.plausible((1000, 600))
    assert not expected.plausible((1200, 2000))
    tier = find_model("apixo/image-upscaler")
    roughly = tier.sizing.expect({"resolution": "4k"}, (1000, 600))
    assert roughly.plausible((3840, 2304))
    assert not roughly.plausible((1000, 600))
    assert not roughly.plausible((4096, 4096))


PRICES = [
    ("fal/seedvr2-image", {}, (1000, 1000), Decimal("0.001")),
    ("fal/seedvr2-seamless", {}, (2000, 1500), Decimal("0.0075")),
    ("fal/seedvr2-image", {}, None, None),
    ("apixo/image-upscaler", {}, None, Decimal("0.01")),
    ("pixazo/crystal-image", {"scale_factor": 2}, None, Decimal("0.07")),
    ("pixazo/crystal-image", {"scale_factor": 8}, None, Decimal("0.45")),
    ("pixazo/seedvr2-3b-image", {}, (10, 10), None),
    ("pixazo/seedvr2-7b-image", {}, (10, 10), None),
    ("pixazo/topaz-video", {}, (10, 10), None),
]


@pytest.mark.parametrize(("model_id", "given", "output", "dollars"), PRICES)
def test_prices(model_id, given, output, dollars):
    model = find_model(model_id)
    assert model.price.estimate(model.check(given).values, output) == dollars
    assert model.price.words
    assert model.price.source


FORMATS = [
    ("pixazo/seedvr2-3b-image", {}, "png"),
    ("pixazo/seedvr2-3b-image", {"output_format": "jpg"}, "jpeg"),
    ("pixazo/seedvr2-3b-video", {"output_format": "H265 (.mp4)"}, "mp4"),
    ("pixazo/topaz-video", {}, "mp4"),
    ("pixazo/crystal-image", {}, "png"),
    ("fal/seedvr2-image", {}, "jpeg"),
    ("apixo/image-upscaler", {"output_format": "webp"}, "webp"),
]


@pytest.mark.parametrize(("model_id", "given", "file_format"), FORMATS)
def test_output_formats(model_id, given, file_format):
    model = find_model(model_id)
    assert model.output_format(model.check(given).values) == file_format


def test_a_parameter_of_the_other_mode_is_left_out_where_the_mode_is_given():
    """fal's own example gives a factor and a target."""
    example = {
        "upscale_mode": "factor",
        "upscale_factor": 2,
        "target_resolution": "1080p",
        "noise_scale": 0.1,
        "output_format": "jpg",
        "sync_mode": False,
    }
    checked = find_model("fal/seedvr2-image").check(example)
    assert checked.values == {name: example[name] for name in example if name != "target_resolution"}
    assert checked.notes == (
        "target_resolution was not sent, because it is only used with upscale_mode=target.",
    )
    other = find_model("pixazo/seedvr2-3b-video").check({"upscale_mode": "target", "upscale_factor": 3})
    assert "upscale_factor" not in other.values
    assert len(other.notes) == 1


def test_a_parameter_of_the_other_mode_has_to_be_valid_all_the_same():
    with pytest.raises(InvalidParameter, match="target_resolution is 9p"):
        find_model("fal/seedvr2-image").check({"upscale_mode": "factor", "target_resolution": "9p"})
