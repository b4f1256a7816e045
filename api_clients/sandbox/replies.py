"""What a handler answers: plain values, so that a test can change them before they go out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

Json = dict[str, object]
"""A JSON object."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One HTTP reply.

    Attributes:
        body: bytes, or the file that holds them.
    """

    status: int = 200
    body: bytes | Path = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def as_json(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A JSON reply."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return Reply(status=status, body=body, headers=dict(headers or {}))


def read_object(body: bytes) -> Json | None:
    """The JSON object in a request's body, or ``None`` when there is none."""
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    return {str(key): item for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
