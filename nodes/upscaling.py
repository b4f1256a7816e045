"""The upscaling nodes: one class for each model, made from its declaration."""

# ComfyUI is not installed where types are checked.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUntypedBaseClass=false
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from comfy_api.latest import InputImpl, io

from ..api_clients.models import Media, Model
from ..api_clients.registry import MODELS
from . import schema
from .lazy import executing
from .options import RunOptions, offers_privacy

_IMAGES, _VIDEOS = "Remote Upscale/Image", "Remote Upscale/Video"
_ALIASES = ["upscale", "super resolution", "enhance", "restore", "enlarge", "remote", "cloud"]
_REPORT = io.String.Output(
    "report", tooltip="JSON: request ids, cost, seconds, and what was reused or adapted."
)
_OPTIONS = schema.Options.Input(
    "options", optional=True, tooltip="How the jobs are run; connect Remote Upscale Options."
)


class UpscaleImage(io.ComfyNode):
    """Sends each picture of a batch to a model."""

    model: ClassVar[Model]

    @classmethod
    def define_schema(cls) -> Any:
        """The node's inputs and outputs."""
        model = cls.model
        return io.Schema(
            node_id=model.node_id,
            display_name=model.title,
            category=_IMAGES,
            description=_description(model),
            search_aliases=_aliases(model),
            inputs=[
                io.Image.Input(
                    "image", tooltip="One picture or more; each is a job, and all run at the same time."
                ),
                *schema.widgets(model),
                _OPTIONS,
            ],
            outputs=[io.Image.Output("image"), _REPORT],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    async def execute(cls, *, image: Any, options: RunOptions | None = None, **widgets: Any) -> Any:
        """Run the node."""
        options = options or RunOptions()
        parameters = _parameters(cls.model, options, widgets)
        run = await executing()
        made = await run.upscaled_images(cls.model, image, parameters, options, cls.hidden.unique_id)
        return io.NodeOutput(*made)


class UpscaleVideo(io.ComfyNode):
    """Sends a clip to a model."""

    model: ClassVar[Model]

    @classmethod
    def define_schema(cls) -> Any:
        """The node's inputs and outputs."""
        model = cls.model
        return io.Schema(
            node_id=model.node_id,
            display_name=model.title,
            category=_VIDEOS,
            description=_description(model),
            search_aliases=[*_aliases(model), "video"],
            inputs=[
                io.MultiType.Input(
                    "video",
                    [io.Video, io.Image],
                    tooltip="A VIDEO, whose file is sent unchanged if possible, or frames (IMAGE).",
                ),
                *schema.widgets(model),
                schema.frame_rate_input("Frame rate of frames; a VIDEO has its own.", optional=True),
                io.Audio.Input("audio", optional=True, tooltip="Sound for frames; a VIDEO has its own."),
                _OPTIONS,
            ],
            outputs=[io.Video.Output("video"), _REPORT],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    async def execute(
        cls,
        *,
        video: Any,
        frame_rate: float = 24.0,
        audio: Mapping[str, Any] | None = None,
        options: RunOptions | None = None,
        **widgets: Any,
    ) -> Any:
        """Run the node."""
        options = options or RunOptions()
        parameters = _parameters(cls.model, options, widgets)
        run = await executing()
        path, report = await run.upscaled_video(
            cls.model,
            video,
            frame_rate=frame_rate,
            audio=audio,
            parameters=parameters,
            options=options,
            node_id=cls.hidden.unique_id,
        )
        return io.NodeOutput(InputImpl.VideoFromFile(str(path)), report)


def upscaling_nodes() -> list[type[io.ComfyNode]]:
    """A node class for each model."""
    kinds = {Media.IMAGE: UpscaleImage, Media.VIDEO: UpscaleVideo}
    return [type(model.node_id, (kinds[model.media],), {"model": model}) for model in MODELS.values()]


def _parameters(model: Model, options: RunOptions, widgets: Mapping[str, object]) -> dict[str, object]:
    parameters = schema.parameters_of(model, widgets)
    if options.private and offers_privacy(model):
        parameters["sync_mode"] = True
    return parameters


def _description(model: Model) -> str:
    return f"{model.summary} Price: {model.price.words}."


def _aliases(model: Model) -> list[str]:
    return [*_ALIASES, model.id, model.provider]
