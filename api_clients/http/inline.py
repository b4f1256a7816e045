"""Results that come inside the reply, as ``data:`` URIs."""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote_to_bytes

from ..errors import BadResponse

_HEAD = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}")
_LONGEST_HEAD = 1024


def decode_data_uri(uri: str, max_bytes: int) -> tuple[str, bytes]:
    """The media type and the bytes of a ``data:`` URI.

    Args:
        uri: ``data:image/png;base64,…``, or percent-encoded without ``;base64``.
        max_bytes: the most bytes that will be decoded.

    Returns:
        The media type in lower case, ``text/plain`` where none is given, without parameters; and the bytes.

    Raises:
        BadResponse: it is something else, damaged, or larger than ``max_bytes``.
    """
    head = _HEAD.match(uri[:_LONGEST_HEAD])
    if head is None:
        raise _damaged("it is no data URI")
    media_type = head[1].strip().lower() or "text/plain"
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise _damaged("its media type is unusable")
    start = head.end()
    encoded = head[2].lower().endswith(";base64")
    # Percent-encoding takes three characters a byte at most, base64 at least four for three.
    if len(uri) - start > (max_bytes * 4 // 3 + 4 if encoded else max_bytes * 3):
        raise _too_large(max_bytes)
    data = _base64(uri[start:]) if encoded else _percent(uri[start:])
    if len(data) > max_bytes:
        raise _too_large(max_bytes)
    return media_type, data


def _base64(text: str) -> bytes:
    try:
        text = text if "%" not in text else unquote_to_bytes(text).decode("ascii")
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise _damaged("its base64 is broken") from None


def _percent(text: str) -> bytes:
    if not text.isascii():
        raise _damaged("it holds characters that no URI has")
    return unquote_to_bytes(text)


def _damaged(why: str) -> BadResponse:
    return BadResponse(
        f"The result inside the reply cannot be read: {why}.", hint="Run it without sync_mode."
    )


def _too_large(max_bytes: int) -> BadResponse:
    return BadResponse(
        f"The result inside the reply is larger than {max_bytes:,} bytes.", hint="Run it without sync_mode."
    )
