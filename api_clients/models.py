"""What an upscaler is: each one ``Model``, from which all else that needs to know of it is derived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from .errors import InvalidParameter
from .parameters import Parameter, Value
from .prices import Price
from .sizes import Sizing


class Media(StrEnum):
    """What goes in; the same comes out."""

    IMAGE = "image"
    VIDEO = "video"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a model takes.

    Attributes:
        formats: input formats, of ``png jpeg webp`` or ``mp4 mov avi webm``.
        max_bytes: largest input file in bytes; ``None`` where none is documented.
    """

    formats: tuple[str, ...]
    max_bytes: int | None = None


@dataclass(frozen=True)
class Checked:
    """Parameters that may be sent.

    Attributes:
        values: canonical, defaults filled in, in the order of the provider's page.
        notes: what was left out, in sentences.
    """

    values: dict[str, Value]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Model:
    """One remote upscaler.

    Attributes:
        id: ``provider/name``, what users and scripts call it.
        node_id: its ComfyUI node; may never change.
        title: for people.
        summary: one sentence for help pages and listings.
        endpoint: path below the provider's root that takes the submit.
        media: what goes in and comes out.
        media_field: the field of the submit body that holds the input's URL.
        parameters: in the order of the provider's page, which is the order on the wire.
        limits: what inputs it takes.
        sizing: how large the result will be.
        price: what a job costs.
        first_poll: seconds after which a job can plausibly be done; nothing is asked earlier.
        result_format: the result's format where no ``output_format`` parameter says it.
    """

    id: str
    node_id: str
    title: str
    summary: str
    endpoint: str
    media: Media
    media_field: str
    parameters: tuple[Parameter, ...]
    limits: Limits
    sizing: Sizing
    price: Price
    first_poll: float
    result_format: str = "png"

    @property
    def provider(self) -> str:
        """The provider's name, the first part of the id."""
        return self.id.partition("/")[0]

    def parameter(self, name: str) -> Parameter:
        """The declaration of one parameter.

        Raises:
            InvalidParameter: there is none of that name; says which there are.
        """
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        names = [parameter.name for parameter in self.parameters]
        close = get_close_matches(name, names, n=1)
        meant = f"Did you mean {close[0]}? " if close else ""
        raise InvalidParameter(
            f"{self.id} has no parameter {name[:80]}.", hint=f"{meant}It has: {', '.join(names)}."
        )

    def check(self, given: Mapping[str, object]) -> Checked:
        """Check parameters, and fill in what is not set.

        A parameter of a mode other than the chosen one is left out with a note where the mode is given in so
        many words, as in the pages' own examples. Without the mode it is an error: it would have no effect.

        Args:
            given: what the user set; a value of ``None`` counts as not set.

        Raises:
            InvalidParameter: a name, a value or a combination is not allowed.
        """
        wanted = {
            name: self.parameter(name).check(value) for name, value in given.items() if value is not None
        }
        filled = {p.name: p.default for p in self.parameters if p.default is not None} | wanted
        values: dict[str, Value] = {}
        notes: list[str] = []
        for parameter in self.parameters:
            if not parameter.applies(filled):
                notes += _left_out(parameter, wanted, filled)
            elif _is_sent(parameter, wanted, filled):
                values[parameter.name] = filled[parameter.name]
        return Checked(values, tuple(notes))

    def output_format(self, values: Mapping[str, Value]) -> str:
        """The result's file format, ``png``, ``jpeg``, ``webp`` or ``mp4``, for checked parameters."""
        chosen = str(values.get("output_format", self.result_format))
        if chosen.endswith("(.mp4)"):
            return "mp4"
        return "jpeg" if chosen == "jpg" else chosen


def _left_out(parameter: Parameter, wanted: Mapping[str, Value], filled: Mapping[str, Value]) -> list[str]:
    """The note on a parameter that does not apply, if it was given; raises where nobody chose the mode."""
    name = parameter.name
    if name not in wanted or parameter.only_with is None:
        return []
    other, value = parameter.only_with
    if other in wanted:
        return [f"{name} was not sent, because it is only used with {other}={value}."]
    raise InvalidParameter(
        f"{name} is {wanted[name]}, but it is only used with {other}={value}, "
        f"and {other} is {filled.get(other, 'not set')}.",
        hint=f"Set {other} to {value}, or leave {name} out.",
    )


def _is_sent(parameter: Parameter, wanted: Mapping[str, Value], filled: Mapping[str, Value]) -> bool:
    name = parameter.name
    if name not in filled:
        if parameter.required:
            raise InvalidParameter(f"{name} is missing; it must be {parameter.allowed}.")
        return False
    return name in wanted or not any(rival in wanted for rival in parameter.overridden_by)
