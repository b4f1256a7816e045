"""US dollars as the ledger keeps them: whole nano-dollars, so that every database adds them up exactly."""

from __future__ import annotations

from decimal import Decimal

_NANOS = 1_000_000_000


def to_nanos(dollars: Decimal) -> int:
    """Whole nano-dollars; what is finer is rounded up, so that no cap is passed by crumbs."""
    numerator, denominator = dollars.as_integer_ratio()
    return -(-numerator * _NANOS // denominator)


def from_nanos(nanos: int) -> Decimal:
    """Dollars, exactly, and without zeros at the end."""
    whole, rest = divmod(nanos, _NANOS)
    return Decimal(f"{whole}.{rest:09d}".rstrip("0").rstrip("."))
