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


def in_their_words(reason: object, otherwise: str = ".") -> str:
    """The end of a sentence: a colon and a provider's own words, or something else where it gave none."""
    words = clean(reason) if reason else ""
    if not words:
        return otherwise
    return f": {words}" if words[-1] in ".!?…" else f": {words}."
