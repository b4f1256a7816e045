"""The note of a workflow: what it does, what it needs, what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from remote_upscale.api_clients.models import Model
from remote_upscale.api_clients.registry import PROVIDERS, find_model

EXAMPLE = (768, 768)
"""Size of the picture that comes with ComfyUI."""
PICTURE = "A picture: **example.png** comes with ComfyUI; choose your own in *Load Image*."
CLIP = "A clip: choose one of yours in *Load Video* first, in place of **clip.mp4**; none comes with ComfyUI."
CHECKPOINT = (
    "A checkpoint in **models/checkpoints**: **sd_xl_base_1.0.safetensors**, from the page of Stability "
    "AI's SDXL base 1.0 at Hugging Face; any other SDXL checkpoint works too."
)
_NO_PRICE = "the provider publishes no price; your account there shows what was charged."
_SANDBOX = (
    "To try it without a key and without cost, start ComfyUI with **REMOTE_UPSCALE_SANDBOX=1**: pictures and "
    "clips are then enlarged on this machine, by Lanczos."
)


def note(what: str, *, needs: Sequence[str], costs: Sequence[str]) -> str:
    """The text, as Markdown."""
    needed = "".join(f"- {line}\n" for line in needs)
    cost = "".join(f"- {line}\n" for line in costs)
    return f"{what}\n\n**It needs**\n\n{needed}\n**It costs**\n\n{cost}\n{_SANDBOX}\n"


def key(*models: str) -> str:
    """What must be there to reach these models."""
    providers = list(dict.fromkeys(find_model(name).provider for name in models))
    names = " and ".join(f"**{PROVIDERS[provider].key_variable}**" for provider in providers)
    line = f"{names} in ComfyUI's environment."
    if "fal" not in providers:
        line += (
            " Pictures and clips also need a place from which the provider fetches them: **FAL_KEY** for "
            "fal's storage, or a bucket of yours in **REMOTE_UPSCALE_BUCKET_URL**."
        )
    return line


def cost(name: str, given: Mapping[str, object], size: tuple[int, int] | None = None) -> str:
    """What one input costs at a model.

    Args:
        name: the model's id.
        given: its parameters.
        size: of the example, where the price depends on it.
    """
    model = find_model(name)
    if model.price.words == "unknown":
        return f"{model.title}: {_NO_PRICE}"
    return f"{model.title}: {model.price.words}.{_example(model, given, size)}"


def _example(model: Model, given: Mapping[str, object], size: tuple[int, int] | None) -> str:
    if size is None:
        return ""
    values = model.check(given).values
    result = model.sizing.expect(values, size).size
    dollars = model.price.estimate(values, result)
    if dollars is None:
        return ""
    [width, height], [larger, taller] = size, result
    amount = dollars.quantize(Decimal("0.0001")).normalize()
    return f" {width} × {height} pixels to {larger} × {taller}: ${amount:f}."
