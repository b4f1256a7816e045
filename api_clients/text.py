"""Making strings from outside fit to show."""

from __future__ import annotations

import re
from urllib.parse import unquote

from .redaction import redact

_LINK = re.compile(
    r"([a-z][a-z0-9+.-]{0,30}://)([^\s\"'<>/?#]*)([^\s\"'<>?#]*)([?#][^\s\"'<>]*)?", re.IGNORECASE
)
_INLINE = re.compile(r"data:[\w.+/-]+;base64,[A-Za-z0-9+/=]{16,}")
_UNBROKEN = re.compile(r"[A-Za-z0-9]{20,}")
_SWITCH = re.compile(r"(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")
_SHORTEST_TOKEN = 16
_FEWEST_SWITCHES = 3


def clean(text: object, limit: int = 300) -> str:
    """One printable line of at most ``limit`` characters, without secrets and without what opens a link.

    A link keeps its host and its path. Its query and fragment go, which hold signatures, and so do a user
    name and password; the path goes too where a part of it looks like one that nobody can guess. Control
    characters and lone surrogates, which break terminals and encoders, become spaces.
    """
    line = redact(str(text)[: limit * 8])
    line = _INLINE.sub("data:…", _LINK.sub(_shorten, line))
    line = " ".join("".join(char if char.isprintable() else " " for char in line).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def in_their_words(reason: object, otherwise: str = ".") -> str:
    """The end of a sentence: a colon and a provider's own words, or something else where it gave none."""
    words = clean(reason) if reason else ""
    if not words:
        return otherwise
    return f": {words}" if words[-1] in ".!?…" else f": {words}."


def _shorten(link: re.Match[str]) -> str:
    scheme, authority, path = link[1], link[2].rpartition("@")[2], link[3]
    if any(_looks_random(part) for part in path.split("/")):
        return f"{scheme}{authority}/…"
    return f"{scheme}{authority}{path}"


def _looks_random(part: str) -> bool:
    """Whether a part of a path looks like a token: long, with letters and digits in turns or no break."""
    part = unquote(part)
    characters = "".join(char for char in part if char.isalnum())
    if len(characters) < _SHORTEST_TOKEN:
        return False
    return _UNBROKEN.search(part) is not None or len(_SWITCH.findall(characters)) >= _FEWEST_SWITCHES
