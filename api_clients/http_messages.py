"""HTTP messages as values: what a provider's protocol is written and read in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from .errors import BadResponse, Meaning
from .json_values import as_object
from .text import clean


@dataclass(frozen=True)
class Request:
    """An HTTP request to a provider's root. The engine adds the key, and only to requests of this type."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    @classmethod
    def post_json(
        cls, url: str, document: Mapping[str, object], headers: Mapping[str, str] | None = None
    ) -> Request:
        """A POST of a JSON document, written compactly and in the order given."""
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        return cls("POST", url, {"Content-Type": "application/json", **(headers or {})}, body)


@dataclass(frozen=True)
class Reply:
    """What came back. Header names are lower-case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    def parse(self) -> None:
        """Read the body as JSON now, so that ``json`` has it at once; blocking, never fails.

        For a large body, in a thread.
        """
        self._document  # noqa: B018 (kept when it is first read)

    def json(self) -> Any:
        """The body as JSON. It is read once: everyone is given the same document, which nobody may change.

        Raises:
            BadResponse: it is something else.
        """
        document, readable = self._document
        if readable:
            return document
        start = clean(self.body[:120].decode("utf-8", "replace"))
        raise BadResponse(
            f"The provider answered HTTP {self.status}, but not in JSON: {start or 'nothing'}.",
            hint="A proxy in between may be the cause; try again later.",
            meaning=Meaning.UNKNOWN,
        )

    @cached_property
    def _document(self) -> tuple[Any, bool]:
        """The body as JSON, and whether it is that."""
        try:
            return json.loads(self.body), True
        except (ValueError, RecursionError):
            return None, False

    def object(self) -> dict[str, Any]:
        """The body as a JSON object; raises as ``json`` does."""
        document = self.json()
        found = as_object(document)
        if not found and document != {}:
            raise BadResponse(
                "The provider answered with JSON that is not an object.", meaning=Meaning.UNKNOWN
            )
        return found

    def object_or_empty(self) -> dict[str, Any]:
        """The body as a JSON object, or an empty one where it is something else."""
        try:
            return self.object()
        except BadResponse:
            return {}

    @property
    def is_page(self) -> bool:
        """Whether it is a page for people, as proxies and gateways answer with."""
        html = self.headers.get("content-type", "").lower().startswith("text/html")
        return html or self.body[:64].lstrip().lower().startswith((b"<!doctype html", b"<html"))

    @property
    def retry_after(self) -> float | None:
        """Seconds of a ``Retry-After`` header, given as a number or as a date against the reply's own."""
        text = self.headers.get("retry-after", "").strip()
        if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", text):
            return float(text)
        until, now = read_date(text), read_date(self.headers.get("date", ""))
        return max(0.0, (until - now).total_seconds()) if until and now else None


def read_date(text: str) -> datetime | None:
    """A date as HTTP writes it, in UTC; ``None`` for anything else."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
