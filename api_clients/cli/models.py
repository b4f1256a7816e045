"""``remote-upscale models``: what there is, and what its parameters mean."""

from __future__ import annotations

import argparse
import textwrap

from ..errors import RemoteUpscaleError
from ..models import Limits, Model
from ..parameters import Integer, Number, Parameter
from ..registry import MODELS, find_model
from . import exits
from .output import Printer, table, tell


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    printer = Printer(json=arguments.json)
    try:
        chosen = [find_model(arguments.model)] if arguments.model else list(MODELS.values())
    except RemoteUpscaleError as error:
        tell(str(error))
        return exits.of_error(error)
    if arguments.json:
        for model in chosen:
            printer.document(_document(model))
    else:
        for line in _help(chosen[0]) if arguments.model else _table(chosen):
            printer.line(line)
    return exits.DONE


def _table(models: list[Model]) -> list[str]:
    rows = [
        (model.id, f"{model.media} → {model.media}", model.price.words, _limits(model.limits))
        for model in models
    ]
    return table([("MODEL", "IN → OUT", "PRICE", "INPUT"), *rows])


def _limits(limits: Limits) -> str:
    size = f" up to {limits.max_bytes / 1e6:.4g} MB" if limits.max_bytes else ""
    return f"{', '.join(limits.formats)}{size}"


def _help(model: Model) -> list[str]:
    lines = [
        f"{model.id}: {model.title}",
        *textwrap.wrap(model.summary, 100),
        "",
        f"{model.media} → {model.media}; input: {_limits(model.limits)}; price: {model.price.words}",
        "",
    ]
    for parameter in model.parameters:
        lines.append(f"  -p {parameter.name}={_example(parameter)}")
        lines += textwrap.wrap(_explain(parameter), 94, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return lines


def _example(parameter: Parameter) -> str:
    return _type(parameter).upper() if parameter.default is None else _written(parameter.default)


def _explain(parameter: Parameter) -> str:
    facts = [parameter.help, f"Must be {parameter.allowed}."]
    if parameter.only_with is not None:
        other, value = parameter.only_with
        facts.append(f"Only with {other}={_written(value)}.")
    if parameter.required:
        facts.append("Required.")
    elif parameter.default is not None:
        facts.append(f"Default: {_written(parameter.default)}.")
    return " ".join(facts)


def _written(value: object) -> str:
    """A value as it is typed on the command line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _document(model: Model) -> dict[str, object]:
    return {
        "id": model.id,
        "title": model.title,
        "summary": model.summary,
        "node_id": model.node_id,
        "input": model.media.value,
        "output": model.media.value,
        "formats": list(model.limits.formats),
        "max_bytes": model.limits.max_bytes,
        "price": model.price.words,
        "price_source": model.price.source,
        "parameters": [_parameter(parameter) for parameter in model.parameters],
    }


def _parameter(parameter: Parameter) -> dict[str, object]:
    """A declaration as JSON; what does not apply to its type is null."""
    least: float | None = None
    most: float | None = None
    if isinstance(parameter, Number) or (isinstance(parameter, Integer) and not parameter.choices):
        least, most = parameter.minimum, parameter.maximum
    needs = parameter.only_with
    return {
        "name": parameter.name,
        "type": _type(parameter),
        "min": least,
        "max": most,
        "step": parameter.step if isinstance(parameter, Number) else None,
        "choices": list(getattr(parameter, "choices", ())) or None,
        "default": parameter.default,
        "required": parameter.required,
        "only_with": needs and {"name": needs[0], "value": needs[1]},
        "help": parameter.help,
    }


def _type(parameter: Parameter) -> str:
    """``number``, ``integer``, ``choice``, ``choices``, ``flag`` or ``text``."""
    return type(parameter).__name__.lower()
