"""How large a result will be, from what was asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from .parameters import Value

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True)
class Expected:
    """The size a result should have, and whether the provider documents it exactly."""

    width: int
    height: int
    exact: bool

    @property
    def size(self) -> Size:
        """As (width, height)."""
        return self.width, self.height

    def plausible(self, size: Size) -> bool:
        """Whether a result of this size can be the answer to what was asked.

        Providers round to the multiples their networks need, so an exact expectation still allows 2 %
        or 16 pixels a side. Where the documentation leaves the size open, a factor of two each way is
        allowed, and for the shape 5 %.
        """
        if self.exact:
            pairs = zip(size, self.size, strict=True)
            return all(abs(got - want) <= max(16, 0.02 * want) for got, want in pairs)
        scale = ((size[0] * size[1]) / (self.width * self.height)) ** 0.5
        shape = (size[0] * self.height) / (size[1] * self.width)
        slack = 0.05 + 16 / min(self.size)
        return 0.5 <= scale <= 2 and 1 / (1 + slack) <= shape <= 1 + slack


class Sizing(ABC):
    """A rule that tells the result's size."""

    @abstractmethod
    def expect(self, values: Mapping[str, Value], size: Size) -> Expected:
        """The result's size for an input of ``size`` and these checked parameters."""


@dataclass(frozen=True)
class ByFactor(Sizing):
    """Both sides times a parameter."""

    factor: str = "upscale_factor"

    def expect(self, values: Mapping[str, Value], size: Size) -> Expected:
        return scaled(size, number(values, self.factor), exact=True)


@dataclass(frozen=True)
class ByMode(Sizing):
    """``upscale_mode`` chooses between a factor and a target such as ``1080p``.

    Which side a target names is not documented; taken as the shorter one.
    """

    def expect(self, values: Mapping[str, Value], size: Size) -> Expected:
        if values.get("upscale_mode") != "target":
            return scaled(size, number(values, "upscale_factor"), exact=True)
        lines = int(str(values["target_resolution"]).removesuffix("p"))
        return scaled(size, lines / min(size), exact=False)


@dataclass(frozen=True)
class ByFactorOrPixels(Sizing):
    """``res_w`` and ``res_h`` in pixels override the factor; with one of them the shape is kept."""

    def expect(self, values: Mapping[str, Value], size: Size) -> Expected:
        width, height = values.get("res_w"), values.get("res_h")
        if width is not None and height is not None:
            return Expected(number(values, "res_w").__int__(), number(values, "res_h").__int__(), exact=True)
        if width is not None:
            return scaled(size, number(values, "res_w") / size[0], exact=False)
        if height is not None:
            return scaled(size, number(values, "res_h") / size[1], exact=False)
        return scaled(size, number(values, "upscale_factor"), exact=True)


@dataclass(frozen=True)
class ByTier(Sizing):
    """A parameter names a tier such as ``4k``: about so many pixels on the longer side."""

    tiers: Mapping[str, int]
    parameter: str = "resolution"

    def expect(self, values: Mapping[str, Value], size: Size) -> Expected:
        return scaled(size, self.tiers[str(values[self.parameter])] / max(size), exact=False)


def number(values: Mapping[str, Value], name: str) -> float:
    """A numeric parameter's value."""
    value = values[name]
    assert isinstance(value, (int, float)), f"{name} is not a number"
    return value


def scaled(size: Size, factor: float, *, exact: bool) -> Expected:
    """Both sides times a factor, at least one pixel."""
    width, height = (max(1, round(side * factor)) for side in size)
    return Expected(width, height, exact=exact)
