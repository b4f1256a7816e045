"""What a page derives from declarations and schemas: the lists of facts, inputs and outputs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from remote_upscale.api_clients.models import Model
from remote_upscale.api_clients.parameters import Choice, Choices, Integer, Number, Parameter
from remote_upscale.api_clients.registry import PROVIDERS

from .schemas import Input, Node, Output
from .words import ENGLISH, Words

LOCALES = Path(__file__).parents[2] / "locales"
_NOT_SENT = -1
_WIDGET_STEP = 0.01
_FACTORS = ("upscale_factor", "scale_factor")
_TIERS = ("target_resolution", "resolution")


@cache
def locale(language: str) -> Mapping[str, Any]:
    """The pack's translations of its nodes; nothing in English, which the schemas speak themselves."""
    if language == ENGLISH.language:
        return {}
    return json.loads((LOCALES / language / "nodeDefs.json").read_text("utf-8"))


def title(node: Node, words: Words) -> str:
    """The node's name as ComfyUI shows it in that language."""
    return locale(words.language).get(node.id, {}).get("display_name") or node.title


def description(node: Node, words: Words) -> str:
    """What the node is, as ComfyUI tells it in that language."""
    return locale(words.language).get(node.id, {}).get("description") or node.description


def facts(model: Model, words: Words) -> str:
    """A list of what there is to know of a model before using it."""
    provider = PROVIDERS[model.provider]
    formats = words.either([_format(name) for name in model.limits.formats])
    most = model.limits.max_bytes
    limit = words.any_size if most is None else words.most_bytes.format(f"{most / 1e6:g}")
    opened, closed = words.brackets
    rows = {
        words.model: words.at_provider.format(code(model.id), provider.title),
        words.takes: f"{formats}{words.list_end}{limit}",
        words.sizes: words.list_end.join(_sizes(model, words)),
        words.price: f"{words.price_words(model.price)}{opened}{words.sources[model.price.source]}{closed}",
        words.key: code(provider.key_variable),
        words.cancelling: words.can_cancel if provider.cancels else words.cannot_cancel,
    }
    return "\n".join(f"- **{head}**{words.colon}{fact}" for head, fact in rows.items())


def inputs(node: Node, model: Model | None, words: Words, *, advanced: bool) -> str:
    """A node's inputs, or its advanced ones: a list, since ComfyUI shows pages in a narrow column."""
    shown = [one for one in node.inputs if _is_advanced(one) is advanced]
    return "\n".join(_input(node, one, model, words) for one in shown)


def outputs(node: Node, words: Words) -> str:
    """A list of a node's outputs."""
    said = locale(words.language).get(node.id, {}).get("outputs", {})
    return "\n".join(
        _output(one, said.get(str(number), {}), words) for number, one in enumerate(node.outputs)
    )


def code(value: object) -> str:
    """A value as code."""
    return f"`{value}`"


def _input(node: Node, one: Input, model: Model | None, words: Words) -> str:
    said = _translated(node, one, words)
    label = said.get("name", one.name)
    head = f"**{code(one.name)}**" if label == one.name else f"**{code(one.name)}** {label}"
    values = words.list_end.join([_values(one, model, words), *_default(one, words)])
    tooltip = said.get("tooltip") or one.tooltip or words.sockets[one.name]
    meaning = words.space.join([_plain(tooltip), *_conditions(one, model, words)])
    return f"- {head}{words.colon}{values}{words.stop}<br>{meaning}"


def _output(one: Output, said: Mapping[str, str], words: Words) -> str:
    opened, closed = words.brackets
    kind = one.kind.upper()
    label = said.get("name", one.name)
    name = code(one.name) if label == one.name else f"{code(one.name)} {label}"
    tooltip = said.get("tooltip") or one.tooltip
    return f"- {name}{opened}{kind}{closed}" + (f"{words.colon}{tooltip}" if tooltip else "")


def _translated(node: Node, one: Input, words: Words) -> Mapping[str, str]:
    said = locale(words.language).get(node.id, {}).get("inputs", {})
    names = (one.name, f"{one.below}.{one.name}", f"{one.below}_{one.name}")
    return next((said[name] for name in names if name in said), {})


def _plain(text: str) -> str:
    """A text that means nothing to Markdown."""
    return re.sub(r"([*<])", r"\\\1", text)


def _format(name: str) -> str:
    return {"webp": "WebP", "webm": "WebM"}.get(name, name.upper())


def _values(one: Input, model: Model | None, words: Words) -> str:
    declared = _declared(one, model)
    match one.kind:
        case "Combo":
            return words.comma.join(code(option) for option in one.facts["options"])
        case "String" if isinstance(declared, Choices):
            return words.comma.join(code(option) for option in declared.choices)
        case "Int" | "Float":
            return _numbers(one, model, words)
        case kind:
            return words.types.get(kind, code(kind))


def _numbers(one: Input, model: Model | None, words: Words) -> str:
    """A range: the provider's own, beside what the widget has for "not sent"."""
    declared = _declared(one, model)
    least, most = one.facts["min"], one.facts["max"]
    step = one.facts.get("step", 1)
    if isinstance(declared, (Integer, Number)):
        least, most = declared.minimum, declared.maximum
    said = f"{_written(least)} – {_written(most)}"
    if one.kind == "Float" and step != _WIDGET_STEP:
        said = words.in_steps.format(said, _written(step))
    unset = declared is not None and declared.default is None
    return f"{said}{words.also}{code(_NOT_SENT)}" if unset else said


def _is_advanced(one: Input) -> bool:
    return bool(one.facts.get("advanced") or (one.facts.get("extra_dict") or {}).get("advanced"))


def _declared(one: Input, model: Model | None) -> Parameter | None:
    return next((p for p in model.parameters if p.name == one.name), None) if model else None


def _default(one: Input, words: Words) -> list[str]:
    value = one.facts.get("default")
    if value is None or value == "":
        return []
    shown = words.flags[value] if isinstance(value, bool) else code(_written(value))
    return [words.default.format(shown)]


def _written(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def _conditions(one: Input, model: Model | None, words: Words) -> list[str]:
    declared = _declared(one, model)
    said: list[str] = []
    if declared and declared.only_with:
        other, value = declared.only_with
        said.append(words.only_with.format(code(other), code(value)))
    if declared and declared.overridden_by:
        said.append(words.not_with.format(words.either([code(name) for name in declared.overridden_by])))
    if declared and declared.required:
        said.append(words.required)
    if one.facts.get("optional"):
        said.append(words.optional)
    return said


def _sizes(model: Model, words: Words) -> list[str]:
    """The sizes that a model can be asked for."""
    said: list[str] = []
    for parameter in model.parameters:
        if parameter.name in _FACTORS and isinstance(parameter, (Integer, Number)):
            choices = [str(choice) for choice in getattr(parameter, "choices", ())]
            span = f"{parameter.minimum:g} – {parameter.maximum:g}"
            said.append(words.times.format(words.either(choices) if choices else span))
        elif parameter.name in _TIERS and isinstance(parameter, Choice):
            said.append(words.either(list(parameter.choices)))
        elif parameter.name == "res_w" and isinstance(parameter, Integer):
            said.append(words.pixels.format(f"{parameter.minimum} – {parameter.maximum}"))
    return said
