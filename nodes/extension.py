"""What ComfyUI is told of this pack."""

# ComfyUI is not installed where types are checked.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false, reportUntypedBaseClass=false
from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from .conversions import FramesToVideo, VideoToFrames
from .run_options import RunOptionsNode
from .shutdown import heed_sigterm
from .upscaling import upscaling_nodes


class RemoteUpscale(ComfyExtension):
    """The pack."""

    async def on_load(self) -> None:
        """Jobs are to be settled also where the process is ended by SIGTERM; this is its main thread."""
        heed_sigterm()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Every node."""
        return [*upscaling_nodes(), RunOptionsNode, VideoToFrames, FramesToVideo]
