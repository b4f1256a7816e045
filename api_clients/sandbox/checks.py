"""Checking submitted parameters against a model's declarations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import InvalidParameter
from ..models import Model
from ..parameters import Parameter, Value


@dataclass(frozen=True)
class Flaw:
    """One parameter that is not as declared. ``value`` is ``None`` when it is missing."""

    parameter: Parameter
    value: object
    message: str


def check(model: Model, given: Mapping[str, object]) -> tuple[dict[str, Value], list[Flaw]]:
    """Check what was submitted, one parameter after the other in the order of the page.

    A parameter that does not go with the others (a factor with a target) is no flaw: the pages say that it
    is not used, not that it is refused. Unknown names and ``null`` are ignored.

    Returns:
        The parameters that count, defaults filled in (empty when there are flaws), and the flaws.
    """
    values: dict[str, Value] = {}
    flaws: list[Flaw] = []
    for parameter in model.parameters:
        value = given.get(parameter.name)
        if value is None:
            continue
        try:
            values[parameter.name] = parameter.check(value)
        except InvalidParameter as wrong:
            flaws.append(Flaw(parameter, value, wrong.message))
    filled = {p.name: p.default for p in model.parameters if p.default is not None} | values
    flaws += [
        Flaw(p, None, f"{p.name} is missing; it must be {p.allowed}.")
        for p in model.parameters
        if p.required and p.applies(filled) and given.get(p.name) is None and p.default is None
    ]
    if flaws:
        return {}, flaws
    used = {name: value for name, value in values.items() if model.parameter(name).applies(filled)}
    return model.check(used).values, []
