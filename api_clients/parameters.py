"""A provider's parameters as declarations: type, range, default, choices, meaning, and what they depend on.

A declaration is everything the rest needs: checking a value, reading one from a command line, help texts,
a node's widgets, the sandbox's validation. ``None`` is never a value; it means "not set".
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn, cast

from .errors import InvalidParameter

Value = bool | int | float | str | tuple[str, ...]
"""What a checked parameter can be."""


@dataclass(frozen=True, kw_only=True)
class Parameter(ABC):
    """One parameter of a model, under the provider's own name.

    Attributes:
        name: the provider's name for it.
        help: what it does, told to an artist.
        default: used, and sent, when nothing is set; ``None``: not sent, the provider decides.
        only_with: ``(other, value)``: it only makes sense, and is only sent, while ``other`` is ``value``.
        overridden_by: while any of these is set the default is not filled in.
        required: must be set whenever it applies.
        advanced: rarely needed; user interfaces may tuck it away.
        affects_result: ``False`` for delivery matters (webhooks and the like), which are no part of a
            job's identity.
    """

    name: str
    help: str
    default: Value | None = None
    only_with: tuple[str, Value] | None = None
    overridden_by: tuple[str, ...] = ()
    required: bool = False
    advanced: bool = False
    affects_result: bool = True

    @property
    @abstractmethod
    def allowed(self) -> str:
        """What is allowed, in words that follow "must be"."""

    @abstractmethod
    def check(self, value: object) -> Value:
        """The value in its canonical form.

        Raises:
            InvalidParameter: naming the parameter, the value and what is allowed.
        """

    def parse(self, text: str) -> Value:
        """The value written as ``text`` on a command line, or as in the JSON of the provider's page.

        Raises:
            InvalidParameter: as ``check`` does.
        """
        written = _as_json(text)
        return self.read(written if isinstance(written, str) else text)

    def read(self, text: str) -> Value:
        """The value written as ``text``, which is no JSON; raises as ``check`` does."""
        return self.check(text)

    def refuse(self, value: object) -> NoReturn:
        shown = value if isinstance(value, str) else repr(value)
        raise InvalidParameter(f"{self.name} is {shown[:80] or 'empty'}, but it must be {self.allowed}.")

    def applies(self, values: Mapping[str, Value]) -> bool:
        """Whether it makes sense beside these (already canonical) values."""
        if self.only_with is None:
            return True
        other, wanted = self.only_with
        return values.get(other) == wanted


@dataclass(frozen=True, kw_only=True)
class Number(Parameter):
    """A real number from ``minimum`` to ``maximum``, optionally in steps of ``step``.

    ``decimal`` keeps whole values as ``4.0`` on the wire, for providers that document them so; otherwise
    they are written ``4``.
    """

    minimum: float
    maximum: float
    step: float | None = None
    decimal: bool = False

    @property
    def allowed(self) -> str:
        steps = f" in steps of {self.step:g}" if self.step else ""
        return f"a number from {self.minimum:g} to {self.maximum:g}{steps}"

    def check(self, value: object) -> Value:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.refuse(value)
        if not self.minimum <= value <= self.maximum:  # also refuses NaN
            self.refuse(value)
        if self.step and Decimal(str(value)) % Decimal(str(self.step)):
            self.refuse(value)
        return int(value) if value == int(value) and not self.decimal else float(value)

    def read(self, text: str) -> Value:
        try:
            number = float(text)
        except ValueError:
            self.refuse(text)
        return self.check(number)


@dataclass(frozen=True, kw_only=True)
class Integer(Parameter):
    """A whole number from ``minimum`` to ``maximum``, or one of ``choices``."""

    minimum: int = 0
    maximum: int = 2**31 - 1
    choices: tuple[int, ...] = ()

    @property
    def allowed(self) -> str:
        if self.choices:
            return either([str(choice) for choice in self.choices])
        return f"a whole number from {self.minimum} to {self.maximum}"

    def check(self, value: object) -> Value:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.refuse(value)
        if not math.isfinite(value) or value != int(value):
            self.refuse(value)
        whole = int(value)
        if whole not in self.choices if self.choices else not self.minimum <= whole <= self.maximum:
            self.refuse(value)
        return whole

    def read(self, text: str) -> Value:
        try:
            number = int(text)
        except ValueError:
            self.refuse(text)
        return self.check(number)


@dataclass(frozen=True, kw_only=True)
class Choice(Parameter):
    """One of a few words. ``aliases`` are accepted and replaced by the word they stand for."""

    choices: tuple[str, ...]
    aliases: Mapping[str, str] | None = None
    ignore_case: bool = False

    @property
    def allowed(self) -> str:
        return either(list(self.choices))

    def check(self, value: object) -> Value:
        if not isinstance(value, str):
            self.refuse(value)
        word = value.lower() if self.ignore_case else value
        word = (self.aliases or {}).get(word, word)
        if word not in self.choices:
            self.refuse(value)
        return word


@dataclass(frozen=True, kw_only=True)
class Choices(Parameter):
    """A list of words, each one of ``choices``; on a command line separated by commas."""

    choices: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return f"a list of {either(list(self.choices))}"

    def check(self, value: object) -> Value:
        words = tuple(cast("list[object]", value)) if isinstance(value, (list, tuple)) else ()
        if not words or not all(isinstance(word, str) and word in self.choices for word in words):
            self.refuse(cast("object", value))
        return tuple(str(word) for word in words)

    def parse(self, text: str) -> Value:
        written = _as_json(text)
        return self.check(written) if isinstance(written, list) else super().parse(text)

    def read(self, text: str) -> Value:
        return self.check([word.strip() for word in text.split(",")])


@dataclass(frozen=True, kw_only=True)
class Flag(Parameter):
    """Yes or no."""

    @property
    def allowed(self) -> str:
        return "true or false"

    def check(self, value: object) -> Value:
        if not isinstance(value, bool):
            self.refuse(value)
        return value

    def read(self, text: str) -> Value:
        found = yes_or_no(text)
        return self.check(text if found is None else found)


@dataclass(frozen=True, kw_only=True)
class Text(Parameter):
    """A line of text; with ``https`` it must be an HTTPS address."""

    https: bool = False
    max_length: int = 2000

    @property
    def allowed(self) -> str:
        return "an https:// address" if self.https else f"a text of 1 to {self.max_length} characters"

    def check(self, value: object) -> Value:
        if not isinstance(value, str) or not 0 < len(value) <= self.max_length or not value.isprintable():
            self.refuse(value)
        if self.https and not (value.startswith("https://") and len(value) > len("https://")):
            self.refuse(value)
        return value


def yes_or_no(text: str) -> bool | None:
    """What a word for yes or no says: ``1 true yes on`` or ``0 false no off``; ``None`` for other words."""
    words = {"true": True, "yes": True, "on": True, "1": True}
    words |= {"false": False, "no": False, "off": False, "0": False}
    return words.get(text.lower())


def _as_json(text: str) -> list[object] | str | None:
    """A list or a string in JSON, as the pages write them; ``None`` for everything else."""
    if not text.startswith(("[", '"')):
        return None
    try:
        return cast("list[object] | str", json.loads(text))
    except (ValueError, RecursionError):
        return None


def either(words: list[str]) -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
