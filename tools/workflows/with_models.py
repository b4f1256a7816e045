"""Workflows that chain a remote upscaler with models that run on this machine."""

from __future__ import annotations

from collections.abc import Sequence

from .graph import LOCAL, REMOTE, Group, Node, Workflow
from .parts import FACTOR, TWICE, report, save
from .words import CHECKPOINT, PICTURE, cost, key, note

_PIXAZO = "pixazo/seedvr2-3b-image"
_FAL = "fal/seedvr2-image"


def _local_first() -> Workflow:
    name = "chain-local-esrgan-then-remote"
    return Workflow(
        name=name,
        note=note(
            "Enlarges on this machine first, with an ESRGAN-type model, and then remotely: the local model "
            "cleans the picture and makes it 4 times as large, half of that is kept, and SeedVR2 makes it "
            "twice as large again. So a small, damaged picture reaches 4 times its size, and the remote "
            "model has more to go on.",
            needs=[
                "An upscale model in **models/upscale_models**: **RealESRGAN_x4plus.pth**, from the "
                "releases of the project Real-ESRGAN at GitHub; any other 4x model works too.",
                key(_PIXAZO),
                PICTURE,
            ],
            costs=["The local part: nothing.", cost(_PIXAZO, FACTOR)],
        ),
        nodes={
            "load": Node("LoadImage"),
            "model": Node("UpscaleModelLoader", widgets={"model_name": "RealESRGAN_x4plus.pth"}),
            "esrgan": Node(
                "ImageUpscaleWithModel",
                {"upscale_model": ("model", "UPSCALE_MODEL"), "image": ("load", "IMAGE")},
            ),
            "half": Node(
                "ImageScaleBy", {"image": ("esrgan", "IMAGE")}, {"upscale_method": "lanczos", "scale_by": 0.5}
            ),
            "remote": Node("RemoteUpscalePixazoSeedVR2Image", {"image": ("half", "IMAGE")}, TWICE),
            "save": save(name, ("remote", "image")),
            "report": report("remote"),
        },
        columns=[["load", "model"], ["esrgan"], ["half"], ["remote"], ["save", "report"]],
        groups=[
            Group("On this machine", ["load", "model", "esrgan", "half"], LOCAL),
            Group("At Pixazo", ["remote"], REMOTE),
        ],
    )


def _generate_first() -> Workflow:
    name = "chain-generate-then-upscale"
    return Workflow(
        name=name,
        note=note(
            "Generates a picture with a local checkpoint, and makes it twice as large with SeedVR2 at fal. "
            "The sampler's seed is *fixed*: with another seed, every run makes another picture, and each "
            "of them is paid for.",
            needs=[CHECKPOINT, key(_FAL)],
            costs=["The local part: nothing.", cost(_FAL, FACTOR, (1024, 1024))],
        ),
        nodes={
            "checkpoint": Node("CheckpointLoaderSimple", widgets={"ckpt_name": "sd_xl_base_1.0.safetensors"}),
            "positive": Node(
                "CLIPTextEncode",
                {"clip": ("checkpoint", "CLIP")},
                {"text": "portrait of a ginger cat by a window, soft morning light, fine fur, photograph"},
                "What to show",
            ),
            "negative": Node(
                "CLIPTextEncode",
                {"clip": ("checkpoint", "CLIP")},
                {"text": "blurry, text, watermark"},
                "What to avoid",
            ),
            "empty": Node("EmptyLatentImage", widgets={"width": 1024, "height": 1024}),
            "sampler": Node(
                "KSampler",
                {
                    "model": ("checkpoint", "MODEL"),
                    "positive": ("positive", "CONDITIONING"),
                    "negative": ("negative", "CONDITIONING"),
                    "latent_image": ("empty", "LATENT"),
                },
                {
                    "seed": 20260,
                    "control_after_generate": "fixed",
                    "steps": 28,
                    "cfg": 6.0,
                    "sampler_name": "dpmpp_2m",
                    "scheduler": "karras",
                },
            ),
            "decode": Node("VAEDecode", {"samples": ("sampler", "LATENT"), "vae": ("checkpoint", "VAE")}),
            "remote": Node("RemoteUpscaleFalSeedVR2Image", {"image": ("decode", "IMAGE")}, TWICE),
            "save": save(name, ("remote", "image")),
            "report": report("remote"),
        },
        columns=[
            ["checkpoint", "empty"],
            ["positive", "negative"],
            ["sampler"],
            ["decode"],
            ["remote"],
            ["save", "report"],
        ],
        groups=[
            Group(
                "On this machine",
                ["checkpoint", "empty", "positive", "negative", "sampler", "decode"],
                LOCAL,
            ),
            Group("At fal", ["remote"], REMOTE),
        ],
    )


def _refine_after() -> Workflow:
    name = "chain-upscale-then-refine"
    return Workflow(
        name=name,
        note=note(
            "Makes a picture twice as large remotely, and then lets a local checkpoint go over it once "
            "more with a *denoise* of 0.2: what is there stays, its fine texture becomes that of the "
            "checkpoint. Encoding and decoding are tiled, so that the large picture fits into the memory "
            "of the graphics card.",
            needs=[CHECKPOINT, key(_PIXAZO), PICTURE],
            costs=["The local part: nothing.", cost(_PIXAZO, FACTOR)],
        ),
        nodes={
            "load": Node("LoadImage"),
            "remote": Node("RemoteUpscalePixazoSeedVR2Image", {"image": ("load", "IMAGE")}, TWICE),
            "report": report("remote"),
            "checkpoint": Node("CheckpointLoaderSimple", widgets={"ckpt_name": "sd_xl_base_1.0.safetensors"}),
            "positive": Node(
                "CLIPTextEncode",
                {"clip": ("checkpoint", "CLIP")},
                {"text": "highly detailed photograph, crisp natural texture"},
                "What to show",
            ),
            "negative": Node(
                "CLIPTextEncode",
                {"clip": ("checkpoint", "CLIP")},
                {"text": "blurry, oversharpened, plastic"},
                "What to avoid",
            ),
            "encode": Node("VAEEncodeTiled", {"pixels": ("remote", "image"), "vae": ("checkpoint", "VAE")}),
            "sampler": Node(
                "KSampler",
                {
                    "model": ("checkpoint", "MODEL"),
                    "positive": ("positive", "CONDITIONING"),
                    "negative": ("negative", "CONDITIONING"),
                    "latent_image": ("encode", "LATENT"),
                },
                {
                    "seed": 20260,
                    "control_after_generate": "fixed",
                    "steps": 20,
                    "cfg": 4.0,
                    "sampler_name": "dpmpp_2m",
                    "scheduler": "karras",
                    "denoise": 0.2,
                },
                "KSampler: refine",
            ),
            "decode": Node(
                "VAEDecodeTiled", {"samples": ("sampler", "LATENT"), "vae": ("checkpoint", "VAE")}
            ),
            "save": save(name, ("decode", "IMAGE")),
        },
        columns=[
            ["load", "checkpoint"],
            ["remote", "positive", "negative"],
            ["encode", "report"],
            ["sampler"],
            ["decode"],
            ["save"],
        ],
        groups=[Group("At Pixazo", ["remote"], REMOTE)],
    )


WORKFLOWS: Sequence[Workflow] = (_local_first(), _generate_first(), _refine_after())
