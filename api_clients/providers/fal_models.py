"""What fal offers here: SeedVR2 for images, and its seamless variant for textures.

The page: https://fal.ai/docs/model-api-reference/image-generation-api/seedvr-upscale-image.
"""

from __future__ import annotations

from decimal import Decimal

from ..models import Limits, Media, Model
from ..parameters import Choice, Flag, Integer, Number, Parameter
from ..prices import PerOutputMegapixel
from ..sizes import ByMode


def _parameters(*, formats: tuple[str, ...], default_format: str, safety: bool) -> tuple[Parameter, ...]:
    """What the two endpoints share; they differ in a safety switch and in how they spell JPEG."""
    checker = Flag(
        name="enable_safety_checker",
        help="Let the provider's safety checker look at the picture.",
        default=True,
        advanced=True,
    )
    return (
        Choice(
            name="upscale_mode",
            help="How the size is chosen: factor multiplies both sides, target aims at a resolution.",
            choices=("target", "factor"),
            default="factor",
        ),
        Number(
            name="upscale_factor",
            help="How many times larger each side becomes.",
            minimum=1,
            maximum=10,
            default=2,
            only_with=("upscale_mode", "factor"),
        ),
        Choice(
            name="target_resolution",
            help="The resolution to aim at, whatever the input's size.",
            choices=("720p", "1080p", "1440p", "2160p"),
            default="1080p",
            only_with=("upscale_mode", "target"),
        ),
        Integer(
            name="seed",
            help="Random seed: the same seed gives the same result. Leave it out for a random one.",
        ),
        Number(
            name="noise_scale",
            help="How much noise the generation starts from: higher invents more detail.",
            minimum=0,
            maximum=1,
            step=0.001,
            default=0.1,
        ),
        *((checker,) if safety else ()),
        Choice(
            name="output_format",
            help="File format of the result: png is lossless, the JPEG one small, webp modern and efficient.",
            choices=formats,
            default=default_format,
        ),
        Flag(
            name="sync_mode",
            help="Send the result inside the reply instead of as a link; it then stays out of fal's history.",
            default=False,
            advanced=True,
            affects_result=False,
        ),
    )


SEEDVR2_IMAGE = Model(
    id="fal/seedvr2-image",
    node_id="RemoteUpscaleFalSeedVR2Image",
    title="SeedVR2 Image (fal)",
    summary="Upscales and restores a picture with SeedVR2.",
    endpoint="/fal-ai/seedvr/upscale/image",
    media=Media.IMAGE,
    media_field="image_url",
    parameters=_parameters(formats=("png", "jpg", "webp"), default_format="jpg", safety=False),
    limits=Limits(formats=("png", "jpeg", "webp")),
    sizing=ByMode(),
    price=PerOutputMegapixel(Decimal("0.001"), source="fal's documentation, undated"),
    first_poll=2.5,
    result_format="jpeg",
)

SEEDVR2_SEAMLESS = Model(
    id="fal/seedvr2-seamless",
    node_id="RemoteUpscaleFalSeedVR2Seamless",
    title="SeedVR2 Seamless (fal)",
    summary="Upscales a tileable texture with SeedVR2 so that it still tiles.",
    endpoint="/fal-ai/seedvr/upscale/image/seamless",
    media=Media.IMAGE,
    media_field="image_url",
    parameters=_parameters(formats=("png", "jpeg", "webp"), default_format="png", safety=True),
    limits=Limits(formats=("png", "jpeg", "webp")),
    sizing=ByMode(),
    price=PerOutputMegapixel(Decimal("0.0025"), source="fal's documentation, undated"),
    first_poll=2.5,
)

MODELS = (SEEDVR2_IMAGE, SEEDVR2_SEAMLESS)
"""All of them, in the order in which they are listed."""
