"""One workflow for each model alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from remote_upscale.api_clients.models import Media
from remote_upscale.api_clients.registry import find_model

from .graph import Node, Workflow
from .words import CLIP, EXAMPLE, PICTURE, cost, key, note

_REUSE = "Running it again costs nothing: the same input with the same parameters is paid for once."


def _alone(name: str, model_id: str, what: str, widgets: Mapping[str, object]) -> Workflow:
    model = find_model(model_id)
    clip = model.media is Media.VIDEO
    load = Node("LoadVideo", widgets={"file": "clip.mp4"}) if clip else Node("LoadImage")
    media, saved, save = ("video", "video", "SaveVideo") if clip else ("image", "images", "SaveImage")
    prefix = f"remote-upscale/{name}"
    parameters = {key.partition(".")[2] or key: value for key, value in widgets.items()}
    given = {key: model.parameter(key).parse(str(value)) for key, value in parameters.items()}
    nodes = {
        "load": load,
        "upscale": Node(model.node_id, {media: ("load", "VIDEO" if clip else "IMAGE")}, widgets),
        "save": Node(save, {saved: ("upscale", media)}, {"filename_prefix": prefix}),
        "report": Node("PreviewAny", {"source": ("upscale", "report")}, title="Report"),
    }
    return Workflow(
        name=name,
        note=note(
            f"{what} *Report* shows what the job cost and how long it took.",
            needs=[key(model_id), CLIP if clip else PICTURE],
            costs=[cost(model_id, given, None if clip else EXAMPLE), _REUSE],
        ),
        nodes=nodes,
        columns=[["load"], ["upscale"], ["save", "report"]],
    )


WORKFLOWS: Sequence[Workflow] = (
    _alone(
        "image-seedvr2-3b-pixazo",
        "pixazo/seedvr2-3b-image",
        "Makes a picture twice as large with SeedVR2 3B, which restores it at the same time. "
        "**noise_scale** calms noise and compression; with *target* the size is chosen by lines, such as "
        "1080p.",
        {"upscale_mode": "factor", "upscale_mode.upscale_factor": 2.0},
    ),
    _alone(
        "image-seedvr2-7b-pixazo",
        "pixazo/seedvr2-7b-image",
        "Makes a picture twice as large with SeedVR2 7B, the larger of the two. For exact pixels set "
        "**res_w**, **res_h** or both, which go before the factor. Here **noise_scale** *adds* fine "
        "texture.",
        {"upscale_factor": 2.0, "noise_scale": 0.05},
    ),
    _alone(
        "image-crystal-pixazo",
        "pixazo/crystal-image",
        "Makes a picture twice as large with Crystal, which is strong on faces and products.",
        {"scale_factor": "2"},
    ),
    _alone(
        "image-upscaler-apixo",
        "apixo/image-upscaler",
        "Brings a picture to about 4000 pixels on the longer side. All sizes have one price.",
        {"resolution": "4k"},
    ),
    _alone(
        "image-seedvr2-fal",
        "fal/seedvr2-image",
        "Makes a picture twice as large with SeedVR2 at fal. A lower **noise_scale** stays closer to the "
        "source.",
        {"upscale_mode": "factor", "upscale_mode.upscale_factor": 2.0},
    ),
    _alone(
        "image-seamless-fal",
        "fal/seedvr2-seamless",
        "Makes a texture twice as large with SeedVR2 so that its edges still meet. Take a picture that "
        "tiles: with **example.png** you see what the nodes do, but no seamless result.",
        {"upscale_mode": "factor", "upscale_mode.upscale_factor": 2.0},
    ),
    _alone(
        "video-seedvr2-3b-pixazo",
        "pixazo/seedvr2-3b-video",
        "Makes a clip twice as large with SeedVR2 3B, steadily over time. The file is sent as it is and "
        "comes back as a file, with its sound: no frame is decoded here, however long the clip.",
        {"upscale_mode": "factor", "upscale_mode.upscale_factor": 2.0},
    ),
    _alone(
        "video-topaz-pixazo",
        "pixazo/topaz-video",
        "Makes a clip twice as large with Topaz's video model. The file is sent as it is and comes back as "
        "a file, with its sound. **frame_rate** only counts for frames; a clip has its own.",
        {"upscale_factor": "2"},
    ),
)
