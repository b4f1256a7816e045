"""Uploading a large file to fal's storage in parts, a few at once, each tried again by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import cast
from urllib.parse import quote

from ..http.client import Http
from ..http.progress import Progress
from ..http.retry import RetryBudget
from ..http_messages import Reply, Request
from ..providers.fal import Fal
from ..settings import Settings
from ..urls import origin
from .fal_errors import Refused, check, text
from .fal_token import Tokens
from .hosted import Upload

LARGE = 100 << 20
"""Files of more bytes go up in parts."""

PART = 10 << 20
"""Bytes of each part but the last."""

_AT_ONCE = 4


class PartsUpload:
    """One upload in parts.

    Args:
        upload: the file.
        tokens: give the token; it goes to where it came with, and to the configured upload root.
        settings: ``roots`` and ``time`` are used.
        http: the client.
        report: told when a part is up.
    """

    def __init__(
        self, upload: Upload, tokens: Tokens, settings: Settings, http: Http, *, report: Progress
    ) -> None:
        self._upload = upload
        self._tokens = tokens
        self._settings = settings
        self._http = http
        self._report = report
        self._etags: dict[int, str] = {}
        self._budgets: set[RetryBudget] = set()
        """Of the parts on their way: one that is through shows that the way is open for all of them."""

    async def run(self, about: dict[str, str]) -> str:
        """Upload it.

        Args:
            about: headers that describe the file.

        Returns:
            The link to it.

        Raises:
            RemoteUpscaleError: as ``FalStorage.host``, or ``Refused``.
        """
        created = await self._create(about)
        access_url, upload_id = text(created, "access_url"), text(created, "uploadId")
        await self._may_have_token(access_url)
        place = f"{access_url}/multipart/{quote(upload_id, safe='')}"
        numbers = iter(range(1, -(-self._upload.source.size // PART) + 1))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(self._send_parts(place, numbers))
        except ExceptionGroup as failures:
            raise _first(failures) from None
        await self._complete(place)
        return access_url

    async def _create(self, about: dict[str, str]) -> Reply:
        async for attempt in RetryBudget(self._settings.time):
            token = await self._tokens.get()
            with attempt:
                url = f"{token.base_url}/files/upload/multipart"
                request = Request("POST", url, {"Accept": "application/json", **about})
                return check(await self._http.call(request, root=token.base_url, auth=token.header))
        raise AssertionError("a retried block ends by returning or raising")

    async def _may_have_token(self, access_url: str) -> None:
        token = await self._tokens.get()
        if origin(access_url) not in (origin(token.base_url), origin(self._settings.provider(Fal).cdn_root)):
            raise Refused(
                "fal's storage wants the parts sent to a place that its upload token is not for.",
                hint="Host the input in an object store: REMOTE_UPSCALE_BUCKET_URL.",
            )

    async def _send_parts(self, place: str, numbers: Iterator[int]) -> None:
        """Take the next part until there is none; several of these share one iterator."""
        for number in numbers:
            self._etags[number] = await self._send(f"{place}/{number}", (number - 1) * PART)
            self._report(min(len(self._etags) * PART, self._upload.source.size), self._upload.source.size)
            for budget in self._budgets:
                budget.renew()

    async def _send(self, url: str, offset: int) -> str:
        budget = RetryBudget(self._settings.time)
        self._budgets.add(budget)
        try:
            return await self._send_within(budget, url, offset)
        finally:
            self._budgets.remove(budget)

    async def _send_within(self, budget: RetryBudget, url: str, offset: int) -> str:
        async for attempt in budget:
            token = await self._tokens.get()
            with attempt:
                reply = await self._http.upload(
                    "PUT",
                    url,
                    headers={**token.header, "Content-Type": self._upload.media_type},
                    source=self._upload.source,
                    offset=offset,
                    length=min(PART, self._upload.source.size - offset),
                    budget=budget,
                )
                etag = check(reply).headers.get("etag")
                if etag is None:
                    raise Refused("fal's storage took a part without an ETag.")
                return etag
        raise AssertionError("a retried block ends by returning or raising")

    async def _complete(self, place: str) -> None:
        parts = [{"partNumber": number, "etag": etag} for number, etag in sorted(self._etags.items())]
        request = Request.post_json(f"{place}/complete", {"parts": parts})
        async for attempt in RetryBudget(self._settings.time):
            token = await self._tokens.get()
            with attempt:
                check(await self._http.call(request, root=place, auth=token.header))


def _first(error: Exception) -> Exception:
    """What went wrong first, out of the groups that task groups make of it."""
    return (
        _first(cast("ExceptionGroup[Exception]", error).exceptions[0])
        if isinstance(error, ExceptionGroup)
        else error
    )
