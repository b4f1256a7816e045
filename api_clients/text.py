"""Making strings from outside fit to show."""

from __future__ import annotations

import re

_LINK = re.compile(r"(https?://[^\s\"'<>?#]+)[?#][^\s\"'<>]*")
_INLINE = re.compile(r"data:[\w.+/-]+;base64,[A-Za-z0-9+/=]{16,}")


def clean(text: object, limit: int = 300) -> str:
    """One printable line of at most ``limit`` characters, without query strings (they hold signatures).

    Control characters and lone surrogates, which break terminals and encoders, become spaces.
    """
    line = str(text)[: limit * 8]
    line = _INLINE.sub("data:…", _LINK.sub(r"\1", line))
    line = " ".join("".join(char if char.isprintable() else " " for char in line).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
