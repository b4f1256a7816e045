"""TOML files as people's editors write them: with a byte order mark, in UTF-8 or UTF-16."""

from __future__ import annotations

import codecs
import tomllib
from decimal import Decimal
from typing import Any

_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class NotText(ValueError):
    """The file is in an encoding that cannot be told, or in none. Holds nothing of the file."""


def parse_toml(content: bytes) -> dict[str, Any]:
    """The tables and values of a TOML file. Numbers with a point are decimals.

    Args:
        content: UTF-8, or UTF-16 or UTF-32 that begins with a byte order mark, as Windows writes them.

    Raises:
        NotText: it is neither; says which encoding it seems to be.
        TOMLDecodeError: it is text, but no TOML. The words may quote the file.
    """
    encoding = next((name for mark, name in _ENCODINGS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        raise NotText("it is not UTF-8; save it as UTF-8 in your editor") from None
    if "\0" in text:
        raise NotText("it seems to be UTF-16 without a byte order mark; save it as UTF-8 in your editor")
    return tomllib.loads(text, parse_float=Decimal)
