"""Where the providers are: what a root is when nothing is set, and which ones were set."""

from __future__ import annotations

from collections.abc import ItemsView, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Root:
    """A provider's declaration of one of its addresses.

    Attributes:
        name: which no root of any provider shares.
        variable: the environment variable that sets another one.
        default: the provider's own address, without a trailing slash.
    """

    name: str
    variable: str
    default: str


class Roots:
    """The roots that were set, as attributes with the names of their declarations; immutable.

    A root that is not here is the provider's own: see ``Provider.root_of``. No address has a trailing slash.
    """

    __slots__ = ("_urls",)
    _urls: Mapping[str, str]

    def __init__(self, **urls: str) -> None:
        object.__setattr__(self, "_urls", MappingProxyType(urls))

    def __getattr__(self, name: str) -> str:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._urls[name]
        except KeyError:
            raise AttributeError(f"The root {name} was not set.") from None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} cannot be changed: roots are immutable.")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Roots) and self._urls == other._urls

    def __hash__(self) -> int:
        return hash(frozenset(self._urls.items()))

    def __repr__(self) -> str:
        return f"Roots({', '.join(f'{name}={url!r}' for name, url in self.items())})"

    def get(self, name: str) -> str | None:
        """The address of that name, or ``None`` where it was not set."""
        return self._urls.get(name)

    def items(self) -> ItemsView[str, str]:
        """The names and their addresses."""
        return self._urls.items()

    def all(self) -> tuple[str, ...]:
        """Every address that was set, for the guard that decides which loopback links may be followed."""
        return tuple(self._urls.values())

    def but(self, **urls: str) -> Roots:
        """The same roots, with these in addition or instead."""
        return Roots(**{**self._urls, **urls})
