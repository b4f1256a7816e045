"""What the ledger keeps of links: never what opens something that is private."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, cast
from urllib.parse import unquote

from ..text import clean
from ..urls import split

_LINK = re.compile(r"https?://[^\s\"'<>]+")
_RUN = re.compile(r"[A-Za-z0-9]+")
_LONG, _SHORT = 20, 12
"""Letters and digits in a row that are taken for a token: mixed; the shorter ones in both cases, too."""
_DENSE = 4
"""A long name with hyphens is one, too, such as a UUID, if it changes from letters to digits or back every so
many characters on average; what people call their files changes less often."""
_HIDDEN = "…"
_MOST_TEXT = 2000


def bare(value: Any) -> Any:
    """A value as it may be kept: links without query, user info and tokens in their path, texts cleaned."""
    if isinstance(value, str):
        link = _plain(value)
        return clean(value, _MOST_TEXT) if link is None else _without_tokens(link)
    if isinstance(value, Mapping):
        return {name: bare(one) for name, one in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, Sequence):
        return [bare(one) for one in cast("Sequence[Any]", value)]
    return value


def bare_source(source: str) -> str:
    """An input's link, bare; or its path, as it is."""
    link = _plain(source)
    return source if link is None else _without_tokens(link)


def bare_text(text: str, limit: int = 1000) -> str:
    """A line for people, of at most ``limit`` characters, with all links in it bare."""
    return clean(_LINK.sub(lambda found: _without_tokens(_plain(found[0]) or found[0]), text), limit)


def link_digest(link: str) -> str:
    """What the ledger keeps of an input's link, so that it is recognised, whatever its query."""
    return hashlib.sha256((_plain(link) or link).encode()).hexdigest()


def _plain(value: str) -> str | None:
    """A link without query, fragment and user info; ``None`` for anything else."""
    parts = split(value)
    return parts and f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _without_tokens(link: str) -> str:
    scheme, _, rest = link.partition("://")
    host, *path = rest.split("/")
    shown = (_HIDDEN if _is_token(unquote(segment)) else segment for segment in path)
    return f"{scheme}://{'/'.join([host, *shown])}"


def _is_token(segment: str) -> bool:
    """Whether a segment of a path looks like what nobody should be able to guess."""
    joined = re.sub(r"[-_+/=]", "", segment)
    return any(_is_random(run) for run in _RUN.findall(segment)) or (
        any(len(run) >= _LONG and _switches(run) * _DENSE >= len(run) for run in _RUN.findall(joined))
    )


def _is_random(run: str) -> bool:
    digits, upper, lower = (any(map(kind, run)) for kind in (str.isdigit, str.isupper, str.islower))
    if len(run) >= _LONG:
        return digits and (upper or lower)
    return len(run) >= _SHORT and digits and upper and lower


def _switches(run: str) -> int:
    return sum(before.isdigit() != after.isdigit() for before, after in pairwise(run))
