"""Workflows that chain remote upscalers with nodes that need no model file."""

from __future__ import annotations

from collections.abc import Sequence

from .graph import LOCAL, REMOTE, Group, Node, Workflow
from .parts import FACTOR, TWICE, report, save
from .words import CLIP, EXAMPLE, PICTURE, cost, key, note

_FAL = "fal/seedvr2-image"
_SEAMLESS = "fal/seedvr2-seamless"
_CRYSTAL = "pixazo/crystal-image"
_CLIP = "pixazo/seedvr2-3b-video"


def _grade() -> Workflow:
    name = "chain-video-upscale-then-grade"
    return Workflow(
        name=name,
        note=note(
            "Makes a clip twice as large remotely, then grades it on this machine frame by frame, and puts "
            "it together again with its sound and at its exact rate. Any nodes that take an IMAGE can "
            "stand in the middle. Frames need a lot of memory: **max_memory** refuses what is too "
            "much, and **start** and **count** select a part.",
            needs=[key(_CLIP), CLIP],
            costs=[cost(_CLIP, {}), "The local part: nothing."],
        ),
        nodes={
            "load": Node("LoadVideo", widgets={"file": "clip.mp4"}),
            "remote": Node("RemoteUpscalePixazoSeedVR2Video", {"video": ("load", "VIDEO")}, TWICE),
            "report": report("remote"),
            "frames": Node("RemoteUpscaleVideoToFrames", {"video": ("remote", "video")}),
            "contrast": Node("AdjustContrast", {"images": ("frames", "images")}, {"factor": 1.1}),
            "brightness": Node("AdjustBrightness", {"images": ("contrast", "images")}, {"factor": 1.1}),
            "clip": Node(
                "RemoteUpscaleFramesToVideo",
                {
                    "images": ("brightness", "images"),
                    "audio": ("frames", "audio"),
                    "frame_rate": ("frames", "frame_rate"),
                },
            ),
            "save": Node(
                "SaveVideo", {"video": ("clip", "video")}, {"filename_prefix": f"remote-upscale/{name}"}
            ),
        },
        columns=[
            ["load"],
            ["remote", "report"],
            ["frames"],
            ["contrast"],
            ["brightness"],
            ["clip"],
            ["save"],
        ],
        groups=[
            Group("At Pixazo", ["remote", "report"], REMOTE),
            Group("On this machine, frame by frame", ["frames", "contrast", "brightness", "clip"], LOCAL),
        ],
    )


def _tiled_preview() -> Workflow:
    name = "chain-seamless-texture-tiled"
    twice = {"match_image_size": False}
    return Workflow(
        name=name,
        note=note(
            "Makes a texture twice as large so that it still tiles, saves it, and shows it 2 by 2: where "
            "four corners meet, there must be no visible seam. Use a picture that tiles; with "
            "**example.png**, which does not, the seams show.",
            needs=[key(_SEAMLESS), PICTURE],
            costs=[cost(_SEAMLESS, FACTOR, EXAMPLE), "The preview: nothing."],
        ),
        nodes={
            "load": Node("LoadImage"),
            "remote": Node("RemoteUpscaleFalSeedVR2Seamless", {"image": ("load", "IMAGE")}, TWICE),
            "save": save(name, ("remote", "image"), "Save the texture"),
            "report": report("remote"),
            "row": Node(
                "ImageStitch",
                {"image1": ("remote", "image"), "image2": ("remote", "image")},
                {"direction": "right", **twice},
                "Twice beside itself",
            ),
            "square": Node(
                "ImageStitch",
                {"image1": ("row", "IMAGE"), "image2": ("row", "IMAGE")},
                {"direction": "down", **twice},
                "Twice below itself",
            ),
            "preview": Node("PreviewImage", {"images": ("square", "IMAGE")}, title="2 by 2"),
        },
        columns=[["load"], ["remote", "report"], ["row", "save"], ["square"], ["preview"]],
        groups=[Group("At fal", ["remote", "report"], REMOTE)],
    )


def _side_by_side() -> Workflow:
    name = "chain-two-models-side-by-side"
    return Workflow(
        name=name,
        note=note(
            "Gives the same picture to two remote models, which work at the same time, and saves the "
            "results side by side: SeedVR2 at fal on the left, Crystal at Pixazo on the right.",
            needs=[key(_FAL, _CRYSTAL), PICTURE],
            costs=[cost(_FAL, FACTOR, EXAMPLE), cost(_CRYSTAL, {"scale_factor": 2}, EXAMPLE)],
        ),
        nodes={
            "load": Node("LoadImage"),
            "left": Node("RemoteUpscaleFalSeedVR2Image", {"image": ("load", "IMAGE")}, TWICE),
            "right": Node(
                "RemoteUpscalePixazoCrystalImage", {"image": ("load", "IMAGE")}, {"scale_factor": "2"}
            ),
            "stitch": Node(
                "ImageStitch",
                {"image1": ("left", "image"), "image2": ("right", "image")},
                {"direction": "right", "match_image_size": True},
                "Side by side",
            ),
            "save": save(name, ("stitch", "IMAGE")),
            "left report": report("left", "Report of SeedVR2"),
            "right report": report("right", "Report of Crystal"),
        },
        columns=[["load"], ["left", "right"], ["stitch", "left report", "right report"], ["save"]],
        groups=[Group("At the providers, at once", ["left", "right"], REMOTE)],
    )


def _folder() -> Workflow:
    name = "chain-folder-headless"
    return Workflow(
        name=name,
        note=note(
            "Upscales every picture of a folder; all are in flight at once. Made to run without a browser: "
            "queue the file of this name in **example_workflows/api** at ComfyUI's **/prompt**. *Remote "
            "Upscale Options* keeps the source if a picture fails, as its report says, and refuses a picture "
            "that would cost more than **max_cost**. After a failure, run it again: you pay only for what "
            "is missing.",
            needs=[
                key(_FAL),
                "A folder **to-upscale** in ComfyUI's **input** folder, with PNG, JPEG or WebP pictures of "
                "any sizes.",
            ],
            costs=[cost(_FAL, FACTOR, EXAMPLE)],
        ),
        nodes={
            "load": Node("LoadImageDataSetFromFolder", widgets={"folder": "to-upscale"}),
            "options": Node("RemoteUpscaleOptions", widgets={"on_failure": "keep source", "max_cost": 0.05}),
            "remote": Node(
                "RemoteUpscaleFalSeedVR2Image",
                {"image": ("load", "images"), "options": ("options", "options")},
                TWICE,
            ),
            "save": save(name, ("remote", "image")),
            "report": report("remote", "Reports"),
        },
        columns=[["load", "options"], ["remote"], ["save", "report"]],
    )


WORKFLOWS: Sequence[Workflow] = (_grade(), _tiled_preview(), _side_by_side(), _folder())
