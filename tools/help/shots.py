"""What the pictures of the help pages show: which part of what, and how it was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge, in fractions of the sides."""

TO_FRAMES = "RemoteUpscaleVideoToFrames"
TO_VIDEO = "RemoteUpscaleFramesToVideo"


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One model's picture.

    Attributes:
        model: its id.
        parameters: what it is asked for; named in the caption.
        view: the part that is shown; ``None`` for all of it.
        tiled: the source is the texture, and both are shown two by two.
        frames: of a clip, which.
    """

    model: str
    parameters: Mapping[str, object]
    view: Box | None = None
    tiled: bool = False
    frames: tuple[int, ...] = ()


@dataclass(frozen=True)
class BatchShot:
    """The picture of the run options: parts of the photograph as a batch, one of which fails."""

    shot: Shot
    parts: tuple[tuple[int, int, int, int], ...]
    failed: int


SHOTS = (
    Shot(model="pixazo/seedvr2-3b-image", parameters={"upscale_factor": 4}, view=(0.30, 0.31, 0.46, 0.47)),
    Shot(
        model="pixazo/seedvr2-3b-video",
        parameters={"upscale_mode": "target", "target_resolution": "1080p"},
        view=(0.30, 0.28, 0.43, 0.42),
        frames=(0, 20),
    ),
    Shot(
        model="pixazo/seedvr2-7b-image",
        parameters={"res_w": 1804, "res_h": 1200},
        view=(0.52, 0.735, 0.64, 0.87),
    ),
    Shot(
        model="pixazo/topaz-video",
        parameters={"upscale_factor": 4},
        view=(0.62, 0.35, 0.75, 0.49),
        frames=(0, 20),
    ),
    Shot(model="pixazo/crystal-image", parameters={"scale_factor": 6}, view=(0.63, 0.37, 0.78, 0.53)),
    Shot(model="apixo/image-upscaler", parameters={"resolution": "2k"}, view=(0.48, 0.07, 0.61, 0.22)),
    Shot(model="fal/seedvr2-image", parameters={"upscale_factor": 4}, view=(0.14, 0.72, 0.27, 0.87)),
    Shot(model="fal/seedvr2-seamless", parameters={"upscale_factor": 4}, tiled=True),
)
OPTIONS = BatchShot(
    Shot(model="fal/seedvr2-image", parameters={"upscale_factor": 4}),
    parts=((152, 92, 192, 120), (242, 232, 282, 260), (298, 117, 338, 145)),
    failed=1,
)
