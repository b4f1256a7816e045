"""What can be wrong with an input, before it is said in a provider's own words."""

from __future__ import annotations

from enum import Enum, auto


class Problem(Enum):
    """Kinds of unusable inputs; every provider has its own code for each."""

    DOWNLOAD = auto()
    FORMAT = auto()
    DAMAGED = auto()
    BYTES = auto()
    PIXELS = auto()
    INTERNAL = auto()
    """Not the input's fault."""


class InputRefused(Exception):
    """The input cannot be used. The message is one sentence for the provider's error text."""

    def __init__(self, problem: Problem, message: str) -> None:
        super().__init__(message)
        self.problem = problem
        self.message = message
