"""Nodes for whoever works on the frames of a clip: exact, and bounded in memory."""

# ComfyUI is not installed where types are checked.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUntypedBaseClass=false
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from comfy_api.latest import InputImpl, io

from .lazy import executing
from .schema import frame_rate_input

_CATEGORY = "Remote Upscale/Video"
_GIGABYTE = 10**9


class VideoToFrames(io.ComfyNode):
    """Decodes a clip, or a part of it."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node's inputs and outputs."""
        return io.Schema(
            node_id="RemoteUpscaleVideoToFrames",
            display_name="Video to Frames (exact)",
            category=_CATEGORY,
            description="Decodes a clip, or part of it, into frames in exact colours and at its exact rate.",
            search_aliases=["decode video", "get video components", "load frames", "extract frames"],
            inputs=[
                io.Video.Input("video"),
                io.Int.Input(
                    "start",
                    default=0,
                    min=0,
                    max=2**31 - 1,
                    tooltip="Number of the first frame, counted from 0.",
                ),
                io.Int.Input(
                    "count", default=0, min=0, max=2**31 - 1, tooltip="How many frames at most; 0 for all."
                ),
                io.Int.Input(
                    "stride", default=1, min=1, max=10000, tooltip="1 takes every frame, 2 every second one."
                ),
                io.Float.Input(
                    "max_memory",
                    default=16.0,
                    min=0.0,
                    max=100000.0,
                    step=0.5,
                    tooltip="Most gigabytes that the frames may take; more is refused before decoding. "
                    "0: no limit.",
                ),
                io.Boolean.Input(
                    "exact",
                    default=True,
                    advanced=True,
                    tooltip="Off: somewhat faster, with less smooth colour edges.",
                ),
            ],
            outputs=[
                io.Image.Output("images"),
                io.Audio.Output("audio", tooltip="Sound of the same time span; empty if the clip is silent."),
                io.Float.Output("frame_rate"),
                io.String.Output("notes", tooltip="Anything unusual about the clip, in sentences."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    async def execute(
        cls, *, video: Any, start: int, count: int, stride: int, max_memory: float, exact: bool
    ) -> Any:
        """Run the node."""
        part = {
            "start": start,
            "count": count or None,
            "stride": stride,
            "max_bytes": math.ceil(max_memory * _GIGABYTE) or None,
            "exact": exact,
        }
        frames = await (await executing()).read_frames(video, part, cls.hidden.unique_id)
        return io.NodeOutput(frames.images, frames.audio, float(frames.rate), "\n".join(frames.notes))


class FramesToVideo(io.ComfyNode):
    """Encodes frames as a clip that is a file."""

    @classmethod
    def define_schema(cls) -> Any:
        """The node's inputs and outputs."""
        return io.Schema(
            node_id="RemoteUpscaleFramesToVideo",
            display_name="Frames to Video (exact)",
            category=_CATEGORY,
            description="Encodes frames as a clip (H.264 in MP4) in exact colours and at the exact rate.",
            search_aliases=["encode video", "create video", "combine frames"],
            inputs=[
                io.Image.Input("images"),
                frame_rate_input(
                    "Frames per second. Values such as 29.97002997 are taken as the exact fractions "
                    "that they stand for."
                ),
                io.Audio.Input("audio", optional=True),
                io.Int.Input(
                    "crf",
                    default=16,
                    min=0,
                    max=51,
                    advanced=True,
                    tooltip="Quality: 0 is lossless in Y'CbCr, 16 looks the same as the original.",
                ),
            ],
            outputs=[io.Video.Output("video")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    async def execute(
        cls,
        *,
        images: Any,
        frame_rate: float,
        crf: int = 16,
        audio: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the node."""
        run = await executing()
        path = await run.encoded_video(images, frame_rate, audio, crf, cls.hidden.unique_id)
        return io.NodeOutput(InputImpl.VideoFromFile(str(path)))
