"""Which version of a file a server sent, so that a download goes on with that version and no other.

RFC 9110 has the rules: a strong ``ETag`` tells versions apart byte by byte (8.8.3), a ``Last-Modified`` only
where the file was at rest for a while when it was sent (8.8.2.2), and where there is no ``ETag`` (13.1.5).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import Self

import httpx

from ..http_messages import read_date
from ..json_values import as_count, as_object, as_text

_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')
_AT_REST = 60  # seconds between the last change and the reply's date


@dataclass(frozen=True)
class Validator:
    """A version of a file at a server.

    Attributes:
        condition: what ``If-Range`` is given: a strong ``ETag``, or a ``Last-Modified``.
        total: length of the whole file in bytes, where the server said it.
        resource: SHA-256 of the link without its query, in hexadecimal: an ETag is one of a single resource.
    """

    condition: str = field(repr=False)
    total: int | None
    resource: str

    @classmethod
    def of(cls, response: httpx.Response, url: str, total: int | None) -> Self | None:
        """That of a whole file which a server begins to send; ``None`` where it cannot be told.

        Args:
            response: to a request without ``Range``.
            url: the link that was asked for.
            total: length of the whole file, where it is known.
        """
        headers = response.headers
        if "content-encoding" in headers:
            return None  # what is counted and kept is not what the server counts
        etag = headers.get("etag")
        condition = headers.get("last-modified", "") if etag is None else etag
        strong = _was_at_rest(headers) if etag is None else _STRONG_ETAG.fullmatch(etag) is not None
        return cls(condition, total, _resource(url)) if strong and _is_plain(condition) else None

    @classmethod
    def from_json(cls, text: bytes) -> Self | None:
        """What ``to_json`` wrote; ``None`` for anything else."""
        try:
            document = as_object(json.loads(text))
        except (ValueError, RecursionError):
            return None
        condition, resource = as_text(document.get("condition")), as_text(document.get("resource"))
        if condition is None or resource is None or not _is_plain(condition):
            return None
        return cls(condition, as_count(document.get("total")), resource)

    def to_json(self) -> bytes:
        """To be kept beside the file."""
        return json.dumps(asdict(self)).encode()

    def holds_at(self, url: str) -> bool:
        """Whether a link may lead to the same file.

        A fresh link to the same result has another query, or another path altogether. There, an ETag is
        believed together with the length.
        """
        return self.resource == _resource(url) or (self.condition.startswith('"') and self.total is not None)

    def confirmed_by(self, response: httpx.Response, total: int | None) -> bool:
        """Whether a part that a server sent is of this version.

        Args:
            response: to a request with ``Range`` and ``If-Range``.
            total: length of the whole file, as the part says it.
        """
        if "content-encoding" in response.headers or (
            total != self.total and None not in (total, self.total)
        ):
            return False
        if self.condition.startswith('"'):
            return response.headers.get("etag") == self.condition
        # A part needs no Last-Modified where it was asked for by If-Range (RFC 9110, 15.3.7).
        return response.headers.get("last-modified", self.condition) == self.condition


def _was_at_rest(headers: httpx.Headers) -> bool:
    modified, sent = read_date(headers.get("last-modified", "")), read_date(headers.get("date", ""))
    return modified is not None and sent is not None and (sent - modified).total_seconds() >= _AT_REST


def _is_plain(condition: str) -> bool:
    return condition.isascii() and condition.isprintable()


def _resource(url: str) -> str:
    return hashlib.sha256(re.split("[?#]", url, maxsplit=1)[0].encode()).hexdigest()
