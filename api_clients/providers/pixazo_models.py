"""What Pixazo's gateway offers: SeedVR2 3B for images and videos, SeedVR2 7B, Topaz video, Crystal.

The pages: https://www.pixazo.ai/models/seedvr, …/topaz and …/crystal.
"""

from __future__ import annotations

from decimal import Decimal

from ..models import Limits, Media, Model
from ..parameters import Choice, Choices, Flag, Integer, Number, Parameter, Text
from ..prices import ByChoice, Unknown
from ..sizes import ByFactor, ByFactorOrPixels, ByMode

_IMAGE_FORMATS = ("png", "jpeg", "webp")
_VIDEO_FORMATS = ("mp4", "mov", "avi", "webm")
_NO_PRICE = Unknown(source="Pixazo publishes none for this model")

_SEED_HELP = "Random seed: the same seed gives consistent results across runs. Leave it out for a random one."


def _webhook(events: tuple[str, ...]) -> tuple[Parameter, ...]:
    return (
        Text(
            name="webhook",
            help="Address that the provider calls with the result, besides our own waiting for it.",
            https=True,
            advanced=True,
            affects_result=False,
        ),
        Choices(
            name="webhook_events_filter",
            help="Which events call the webhook: * for all, completed for success and failure only.",
            choices=events,
            advanced=True,
            affects_result=False,
        ),
    )


def _upscale_mode() -> Parameter:
    return Choice(
        name="upscale_mode",
        help="How the size is chosen: factor multiplies both sides, target aims at a resolution.",
        choices=("factor", "target"),
        default="factor",
    )


def _reduction(recommended: str) -> Parameter:
    return Number(
        name="noise_scale",
        help="Noise REDUCTION strength: lower keeps detail and texture, higher is smoother and cleaner. "
        f"Recommended: {recommended}. (In SeedVR2 7B the same name adds detail instead.)",
        minimum=0,
        maximum=1,
    )


SEEDVR2_3B_IMAGE = Model(
    id="pixazo/seedvr2-3b-image",
    node_id="RemoteUpscalePixazoSeedVR2Image",
    title="SeedVR2 3B Image (Pixazo)",
    summary="Upscales and restores a picture with ByteDance's SeedVR2, the 3B model.",
    endpoint="/seedvr-upscale/v1/upscale-image/generate",
    media=Media.IMAGE,
    media_field="image_url",
    parameters=(
        _upscale_mode(),
        Number(
            name="upscale_factor",
            help="How many times larger each side becomes. 2 to 4 gives the best results.",
            minimum=1,
            maximum=8,
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
        _reduction("0.05 to 0.15 for photos, 0.08 to 0.12 for digital art"),
        Choice(
            name="output_format",
            help="File format of the result: png is lossless, jpg small, webp modern and efficient.",
            choices=("jpg", "png", "webp"),
            default="png",
        ),
        Integer(name="seed", help=_SEED_HELP),
        Flag(
            name="sync_mode",
            help="Send the result inside the reply instead of as a link. Only for small pictures.",
            advanced=True,
            affects_result=False,
        ),
        *_webhook(("*", "completed")),
    ),
    limits=Limits(formats=_IMAGE_FORMATS),
    sizing=ByMode(),
    price=_NO_PRICE,
    first_poll=2.5,
)

SEEDVR2_3B_VIDEO = Model(
    id="pixazo/seedvr2-3b-video",
    node_id="RemoteUpscalePixazoSeedVR2Video",
    title="SeedVR2 3B Video (Pixazo)",
    summary="Upscales and restores a clip with ByteDance's SeedVR2, the 3B model, steadily over time.",
    endpoint="/seedvr-upscale/v1/upscale-video/generate",
    media=Media.VIDEO,
    media_field="video_url",
    parameters=(
        _upscale_mode(),
        Number(
            name="upscale_factor",
            help="How many times larger each side becomes; 1 improves the quality and keeps the size.",
            minimum=1,
            maximum=4,
            default=2,
            only_with=("upscale_mode", "factor"),
        ),
        Choice(
            name="target_resolution",
            help="The resolution to aim at, whatever the input's size.",
            choices=("720p", "1080p"),
            default="1080p",
            only_with=("upscale_mode", "target"),
        ),
        _reduction("0.05 to 0.2"),
        Choice(
            name="output_format",
            help="Video codec of the result: X264 plays everywhere, H265 is smaller and needs newer devices.",
            choices=("X264 (.mp4)", "H265 (.mp4)"),
            default="X264 (.mp4)",
        ),
        Choice(
            name="output_quality",
            help="How much quality the encoding keeps: low makes the smallest file, high is recommended.",
            choices=("low", "medium", "high"),
            default="high",
        ),
        Choice(
            name="output_write_mode",
            help="How much time the encoding takes: fast, balanced (recommended), or quality, the slowest.",
            choices=("fast", "balanced", "quality"),
            default="balanced",
        ),
        Integer(name="seed", help=_SEED_HELP),
        *_webhook(("*", "start", "output", "completed")),
    ),
    limits=Limits(formats=_VIDEO_FORMATS),
    sizing=ByMode(),
    price=_NO_PRICE,
    first_poll=5,
    result_format="mp4",
)

SEEDVR2_7B_IMAGE = Model(
    id="pixazo/seedvr2-7b-image",
    node_id="RemoteUpscalePixazoSeedVR2Image7B",
    title="SeedVR2 7B Image (Pixazo)",
    summary="Upscales and restores a picture with the larger SeedVR2 7B, to a factor or to exact pixels.",
    endpoint="/seedvr2-7b-upscale/image-request",
    media=Media.IMAGE,
    media_field="image_url",
    parameters=(
        Number(
            name="upscale_factor",
            help="How many times larger each side becomes. res_h and res_w override it.",
            minimum=1,
            maximum=8,
            default=2.0,
            decimal=True,
            overridden_by=("res_h", "res_w"),
        ),
        Integer(
            name="res_h",
            help="Height of the result in pixels; overrides the factor.",
            minimum=256,
            maximum=4096,
        ),
        Integer(
            name="res_w",
            help="Width of the result in pixels; overrides the factor.",
            minimum=256,
            maximum=4096,
        ),
        Choice(
            name="output_format",
            help="File format of the result: png is lossless, jpeg small, webp modern and efficient.",
            choices=("jpeg", "png", "webp"),
            default="png",
        ),
        Number(
            name="noise_scale",
            help="ADDS detail: higher values inject more synthetic texture. "
            "(In SeedVR2 3B the same name reduces noise instead.)",
            minimum=0,
            maximum=1,
            default=0.0,
            decimal=True,
        ),
        Integer(name="seed", help=_SEED_HELP),
        Text(
            name="job_id",
            help="An identifier of your own, sent along; the provider gives its own request id too.",
            max_length=200,
            advanced=True,
            affects_result=False,
        ),
    ),
    limits=Limits(formats=_IMAGE_FORMATS),
    sizing=ByFactorOrPixels(),
    price=_NO_PRICE,
    first_poll=2.5,
)

TOPAZ_VIDEO = Model(
    id="pixazo/topaz-video",
    node_id="RemoteUpscalePixazoTopazVideo",
    title="Topaz Video (Pixazo)",
    summary="Upscales a clip with Topaz's video model, two or four times.",
    endpoint="/topaz-upscale-video-753/v1/topaz-upscale-video-request",
    media=Media.VIDEO,
    media_field="video_url",
    parameters=(
        Integer(
            name="upscale_factor",
            help="How many times larger each side becomes: 2 makes 1440p of 720p, 4 makes 2880p of it.",
            choices=(2, 4),
            default=2,
        ),
    ),
    limits=Limits(formats=_VIDEO_FORMATS),
    sizing=ByFactor(),
    price=_NO_PRICE,
    first_poll=5,
    result_format="mp4",
)

CRYSTAL_IMAGE = Model(
    id="pixazo/crystal-image",
    node_id="RemoteUpscalePixazoCrystalImage",
    title="Crystal Image (Pixazo)",
    summary="Upscales a picture with Clarity AI's Crystal, strong on faces and products.",
    endpoint="/upscaler/v1/upscale",
    media=Media.IMAGE,
    media_field="image",
    parameters=(
        Integer(
            name="scale_factor",
            help="How many times larger each side becomes; larger factors cost more.",
            choices=(2, 4, 6, 8),
            default=2,
        ),
        *_webhook(("*", "completed")),
    ),
    limits=Limits(formats=_IMAGE_FORMATS),
    sizing=ByFactor("scale_factor"),
    price=ByChoice(
        "scale_factor",
        {2: Decimal("0.07"), 4: Decimal("0.12"), 6: Decimal("0.23"), 8: Decimal("0.45")},
        source="Pixazo's page lists the four prices; that they go with the four factors is most likely",
    ),
    first_poll=2.5,
)

MODELS = (SEEDVR2_3B_IMAGE, SEEDVR2_3B_VIDEO, SEEDVR2_7B_IMAGE, TOPAZ_VIDEO, CRYSTAL_IMAGE)
"""All of them, in the order in which they are listed."""
