"""What a job costs, known before it is sent, or said to be unknown. US dollars, exact decimals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from .parameters import Value
from .sizes import Size


@dataclass(frozen=True)
class Price(ABC):
    """A model's price. ``source`` says where it comes from and how sure it is."""

    source: str = field(kw_only=True)

    @abstractmethod
    def estimate(self, values: Mapping[str, Value], output: Size | None) -> Decimal | None:
        """Dollars for one job, or ``None`` when unknown, which is never the same as 0.

        Args:
            values: the checked parameters.
            output: the expected result's size in pixels, where known.
        """

    @property
    @abstractmethod
    def words(self) -> str:
        """For listings and help pages, such as ``$0.01 per image``."""


@dataclass(frozen=True)
class Unknown(Price):
    """The provider publishes no price that we know of."""

    def estimate(self, values: Mapping[str, Value], output: Size | None) -> Decimal | None:
        return None

    @property
    def words(self) -> str:
        return "unknown"


@dataclass(frozen=True)
class PerJob(Price):
    """The same for every job."""

    dollars: Decimal

    def estimate(self, values: Mapping[str, Value], output: Size | None) -> Decimal | None:
        return self.dollars

    @property
    def words(self) -> str:
        return f"${self.dollars} per image"


@dataclass(frozen=True)
class PerOutputMegapixel(Price):
    """By the result's size: so much for a million pixels."""

    dollars: Decimal

    def estimate(self, values: Mapping[str, Value], output: Size | None) -> Decimal | None:
        if output is None:
            return None
        return self.dollars * output[0] * output[1] / 1_000_000

    @property
    def words(self) -> str:
        return f"${self.dollars} per output megapixel"


@dataclass(frozen=True)
class ByChoice(Price):
    """By the value of one parameter."""

    parameter: str
    dollars: Mapping[Value, Decimal]

    def estimate(self, values: Mapping[str, Value], output: Size | None) -> Decimal | None:
        return self.dollars.get(values[self.parameter])

    @property
    def words(self) -> str:
        return ", ".join(f"${dollars} at {value}" for value, dollars in self.dollars.items())
