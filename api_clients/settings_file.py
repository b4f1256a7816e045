"""Reading ``settings.toml``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from decimal import Decimal, InvalidOperation
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .errors import InvalidParameter
from .parameters import Parameter, Value
from .prices import PerJob, PerOutputMegapixel, Price
from .toml_files import parse_toml

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    _Limits = TypeVar("_Limits", bound=DataclassInstance)

_HERE = "settings.toml"
_NEVER = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32"),
        *("::/127", "::ffff:0:0/96", "64:ff9b::/96", "2002::/16", "fe80::/10", "fd00:ec2::/32"),
    )
)
_PER_JOB, _PER_MEGAPIXEL = "per_job", "per_output_megapixel"


def read_settings_file(path: Path) -> dict[str, Any]:
    """The tables and values of the file; empty where there is none. Numbers with a point are decimals.

    Raises:
        InvalidParameter: it cannot be read.
    """
    try:
        return parse_toml(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidParameter(f"{path} cannot be read: {error}.") from None


def read_limits(limits: _Limits, name: str, table: object) -> _Limits:
    """Limits with the values of their table.

    Args:
        limits: a frozen dataclass of numbers above 0.
        name: of the table.
        table: as it stands in the file.

    Raises:
        InvalidParameter: it is no table, or holds what is no limit.
    """
    kinds = {spec.name: spec.type for spec in fields(limits)}
    values = _table(name, table)
    for key in values:
        if key not in kinds:
            raise InvalidParameter(f"{_HERE}: {key} is not one of {', '.join(sorted(kinds))}.")
    numbers = {key: _number(key, value) for key, value in values.items()}
    return replace(
        limits, **{key: int(value) if kinds[key] == "int" else value for key, value in numbers.items()}
    )


def read_at_once(value: object) -> int:
    """How many jobs may be in flight.

    Raises:
        InvalidParameter: it is no whole number above 0.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidParameter(f"{_HERE}: at_once must be a whole number above 0.")
    return value


def read_budget(table: object) -> tuple[Decimal | None, frozenset[str]]:
    """The cap in dollars, and the models that may be used under it although their price is unknown.

    Raises:
        InvalidParameter: it is no such table.
    """
    values = dict(_table("budget", table))
    cap = values.pop("usd", None)
    names = values.pop("allow_unknown_price", [])
    if values:
        raise InvalidParameter(
            f"{_HERE}: {next(iter(values))} is not one of allow_unknown_price, usd, which [budget] has."
        )
    if not isinstance(names, list) or not all(isinstance(name, str) for name in cast("list[object]", names)):
        raise InvalidParameter(f'{_HERE}: allow_unknown_price must be a list of models, such as ["…", "…"].')
    dollars = None if cap is None else read_dollars(f"{_HERE}: usd", cap)
    return dollars, frozenset(cast("list[str]", names))


def read_network(table: object) -> tuple[IPv4Network | IPv6Network, ...]:
    """The ranges of addresses that names may lead to although they are not public.

    Raises:
        InvalidParameter: it is no table of such, or one holds addresses of this very machine or its cloud.
    """
    values = dict(_table("network", table))
    ranges = values.pop("names_may_lead_to", [])
    if values:
        raise InvalidParameter(
            f"{_HERE}: {next(iter(values))} is not names_may_lead_to, which [network] has."
        )
    if not isinstance(ranges, list):
        raise InvalidParameter(f'{_HERE}: names_may_lead_to must be a list, such as ["198.18.0.0/15"].')
    return tuple(_range(value) for value in cast("list[object]", ranges))


def _range(value: object) -> IPv4Network | IPv6Network:
    try:
        found = ip_network(value if isinstance(value, str) else "")
    except ValueError:
        raise InvalidParameter(
            f"{_HERE}: {str(value)[:80]} in names_may_lead_to is no range of addresses.",
            hint="Write each one like 198.18.0.0/15.",
        ) from None
    if any(found.version == never.version and found.overlaps(never) for never in _NEVER):  # pyright: ignore[reportArgumentType]
        raise InvalidParameter(
            f"{_HERE}: {found} in names_may_lead_to holds addresses of this machine itself, or of the "
            "services that clouds have inside; names may never lead there."
        )
    return found


def read_prices(table: object) -> dict[str, Price]:
    """Prices by model id: dollars for a job, or ``{per_output_megapixel = dollars}``.

    Raises:
        InvalidParameter: one of them is no such thing.
    """
    return {name: _price(name, value) for name, value in _table("prices", table).items()}


def read_options(provider: str, declared: tuple[Parameter, ...], table: object) -> dict[str, Value]:
    """A provider's own options, from the table with its name.

    Raises:
        InvalidParameter: it is no table, or holds what the provider does not declare or allow.
    """
    options = {option.name: option for option in declared}
    values = _table(provider, table)
    for name in values:
        if name not in options:
            raise InvalidParameter(
                f"{_HERE}: {name} is not one of {', '.join(options)}, which [{provider}] has."
            )
    try:
        return {name: options[name].check(value) for name, value in values.items()}
    except InvalidParameter as error:
        raise error.but(message=f"{_HERE}: {error.message}") from None


def read_dollars(name: str, value: object) -> Decimal:
    """An amount of money, exact.

    Raises:
        InvalidParameter: it is no number, or below 0; names what it is.
    """
    dollars = None
    if isinstance(value, (int, str, Decimal)) and not isinstance(value, bool):
        with suppress(InvalidOperation):
            dollars = Decimal(value)
    if dollars is None or not dollars.is_finite() or dollars < 0:
        raise InvalidParameter(f"{name} is {str(value)[:40]}, but it must be US dollars, such as 25.")
    return dollars


def _number(key: str, value: object) -> float:
    number = float(value) if isinstance(value, (int, Decimal)) and not isinstance(value, bool) else math.nan
    if not 0 < number < math.inf:
        raise InvalidParameter(f"{_HERE}: {key} must be a number above 0.")
    return number


def _price(name: str, value: object) -> Price:
    source = "your settings.toml"
    if not isinstance(value, dict):
        return PerJob(read_dollars(f"{_HERE}: the price of {name}", value), source=source)
    ways = cast("dict[str, object]", value)
    if len(ways) == 1:
        way, dollars = next(iter(ways.items()))
        if way == _PER_JOB:
            return PerJob(read_dollars(f"{_HERE}: {way} of {name}", dollars), source=source)
        if way == _PER_MEGAPIXEL:
            return PerOutputMegapixel(read_dollars(f"{_HERE}: {way} of {name}", dollars), source=source)
    raise InvalidParameter(
        f"{_HERE}: the price of {name} must be a number, {{{_PER_JOB} = …}} or {{{_PER_MEGAPIXEL} = …}}."
    )


def _table(name: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise InvalidParameter(f"{_HERE}: {name} is a table; write [{name}] on a line of its own.")
    return cast("dict[str, object]", value)
