"""Model declarations as ComfyUI's widgets, and what the widgets give as parameters: all that knows both."""

# ComfyUI is not installed where types are checked.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from ..api_clients.errors import InvalidParameter
from ..api_clients.models import Media, Model
from ..api_clients.parameters import Choice, Choices, Flag, Integer, Number, Parameter

NOT_SET = -1
"""What a number's widget says for "not sent": a widget always has a value."""
_NOT_SENT = f" {NOT_SET} leaves it to the provider."
_STEP = 0.01
_LARGEST = 2**31 - 1

Options = io.Custom("REMOTE_UPSCALE_OPTIONS")


def frame_rate_input(tooltip: str, *, optional: bool = False) -> Any:
    """The widget for a frame rate."""
    return io.Float.Input(
        "frame_rate", default=24.0, min=0.01, max=1000.0, step=0.001, optional=optional, tooltip=tooltip
    )


def widgets(model: Model) -> list[Any]:
    """The inputs for a model's parameters, in the order of the provider's page."""
    parameters = [_lossless(p) if model.media is Media.IMAGE else p for p in model.parameters]
    dependent = {p.name for p in parameters if p.only_with is not None}
    return [_with_dependents(p, parameters) for p in parameters if p.name not in dependent]


def _lossless(parameter: Parameter) -> Parameter:
    """A result becomes a tensor, so a new node asks for a format that loses nothing on the way."""
    if parameter.name == "output_format" and isinstance(parameter, Choice) and "png" in parameter.choices:
        return replace(parameter, default="png")
    return parameter


def parameters_of(model: Model, given: Mapping[str, object]) -> dict[str, object]:
    """What the widgets gave, under the provider's names; what is not set is left out.

    Args:
        model: the upscaler.
        given: the arguments of ``execute``.

    Raises:
        InvalidParameter: a choice that others belong to is missing.
    """
    _check_choices(model, given)
    flat: dict[str, object] = {}
    for name, value in given.items():
        flat |= value if isinstance(value, dict) else {name: value}
    values = {
        name: _read(model.parameter(name), value)
        for name, value in flat.items()
        if not _is_unset(model.parameter(name), value)
    }
    for parameter in model.parameters:
        # The widget has a value also where a rival is set, which goes before it.
        if any(rival in values for rival in parameter.overridden_by):
            values.pop(parameter.name, None)
    return values


def _check_choices(model: Model, given: Mapping[str, object]) -> None:
    """ComfyUI lets a graph pass whose choice, which others belong to, is missing or unknown."""
    for name in {p.only_with[0] for p in model.parameters if p.only_with is not None}:
        value = given.get(name)
        chosen = value.get(name) if isinstance(value, dict) else None
        if chosen is None:
            raise InvalidParameter(
                f"{name} is missing or none of its choices; it must be {model.parameter(name).allowed}.",
                hint="Choose one on the node; in an API workflow, give it besides what belongs to it.",
            )


def _is_unset(parameter: Parameter, value: object) -> bool:
    if value is None or value == "":
        return True
    if parameter.default is not None:
        return False
    return value is False if isinstance(parameter, Flag) else value == NOT_SET


def _read(parameter: Parameter, value: object) -> object:
    return parameter.parse(value) if isinstance(value, str) else value


def _with_dependents(parameter: Parameter, parameters: Sequence[Parameter]) -> Any:
    """A widget, with those that only belong to one of its choices below it."""
    below = [p for p in parameters if p.only_with is not None and p.only_with[0] == parameter.name]
    if not below or not isinstance(parameter, Choice):
        return _widget(parameter)
    # The first option is the one that a new node has.
    choices = sorted(parameter.choices, key=lambda choice: choice != parameter.default)
    options = [
        io.DynamicCombo.Option(choice, [_widget(p) for p in below if p.only_with == (parameter.name, choice)])
        for choice in choices
    ]
    advanced = {"advanced": True} if parameter.advanced else None
    return io.DynamicCombo.Input(parameter.name, options=options, tooltip=parameter.help, extra_dict=advanced)


def _widget(parameter: Parameter) -> Any:
    common: dict[str, Any] = {"tooltip": parameter.help, "advanced": parameter.advanced or None}
    match parameter:
        case Integer(choices=choices) if choices:
            names = [str(choice) for choice in choices]
            return io.Combo.Input(parameter.name, options=names, default=str(parameter.default), **common)
        case Integer() | Number():
            return _number(parameter, common)
        case Choice(choices=choices):
            return io.Combo.Input(parameter.name, options=list(choices), default=parameter.default, **common)
        case Flag():
            return io.Boolean.Input(parameter.name, default=bool(parameter.default), **common)
        case Choices(choices=choices):
            common["tooltip"] += f" Separated by commas: {', '.join(choices)}. Empty: not sent."
        case _:
            common["tooltip"] += "" if parameter.required else " Empty: not sent."
    return io.String.Input(parameter.name, default=str(parameter.default or ""), **common)


def _number(parameter: Integer | Number, common: dict[str, Any]) -> Any:
    unset = parameter.default is None
    if unset:
        common["tooltip"] += _NOT_SENT
    least = NOT_SET if unset else parameter.minimum
    start = NOT_SET if unset else parameter.default
    if isinstance(parameter, Integer):
        # What is drawn anew for every run would be paid for every time, so a seed stays as it is.
        control = io.ControlAfterGenerate.fixed if parameter.name == "seed" else None
        return io.Int.Input(
            parameter.name,
            default=start,
            min=least,
            max=min(parameter.maximum, _LARGEST),
            control_after_generate=control,
            **common,
        )
    return io.Float.Input(
        parameter.name,
        default=float(start),  # pyright: ignore[reportArgumentType] (a number's default is one)
        min=float(least),
        max=parameter.maximum,
        step=parameter.step or _STEP,
        **common,
    )
