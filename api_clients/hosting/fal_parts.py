"""Uploading a large file to fal's storage in parts, a few at once, each tried again by itself."""

from __future__ import annotations

import asyncio
import time
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
from .fal_unfinished import Unfinished, UnfinishedFile
from .hosted import Upload

LARGE = 100 << 20
"""Files of more bytes go up in parts."""

PART = 10 << 20
"""Bytes of each part but the last."""

_AT_ONCE = 4


class PartsUpload:
    """One upload in parts. A later one of the same file goes on with the parts that are through.

    Args:
        upload: the file.
        tokens: give the token; it goes to where it came with, and to the configured upload root.
        settings: ``roots`` and ``time`` are used.
        http: the client.
        kept: where an unfinished upload of this file is kept.
        report: told when a part is up.
    """

    def __init__(
        self,
        upload: Upload,
        tokens: Tokens,
        settings: Settings,
        http: Http,
        *,
        kept: UnfinishedFile,
        report: Progress,
    ) -> None:
        self._upload = upload
        self._tokens = tokens
        self._settings = settings
        self._http = http
        self._kept = kept
        self._report = report
        self._saving = asyncio.Lock()
        self._budgets: set[RetryBudget] = set()
        """Of the parts on their way: one that is through shows that the way is open for all of them."""

    async def run(self, about: dict[str, str], expires: float) -> tuple[str, float]:
        """Upload it.

        Args:
            about: headers that describe the file.
            expires: Unix time until which a file with these headers is kept.

        Returns:
            The link to it, and the Unix time until which it works.

        Raises:
            RemoteUpscaleError: as ``FalStorage.host``, or ``Refused``.
        """
        known = await asyncio.to_thread(self._kept.load, time.time() + self._upload.valid_for)
        if known is not None:
            try:
                return await self._finish(known)
            except Refused:  # fal does not have it any more
                await asyncio.to_thread(self._kept.remove)
        created = await self._create(about)
        return await self._finish(Unfinished(text(created, "access_url"), text(created, "uploadId"), expires))

    async def _finish(self, unfinished: Unfinished) -> tuple[str, float]:
        await self._may_have_token(unfinished.access_url)
        place = f"{unfinished.access_url}/multipart/{quote(unfinished.upload_id, safe='')}"
        count = -(-self._upload.source.size // PART)
        numbers = iter([number for number in range(1, count + 1) if number not in unfinished.etags])
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(self._send_parts(place, numbers, unfinished))
        except ExceptionGroup as failures:
            raise _first(failures) from None
        await self._complete(place, unfinished)
        await asyncio.to_thread(self._kept.remove)
        return unfinished.access_url, unfinished.expires

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

    async def _send_parts(self, place: str, numbers: Iterator[int], unfinished: Unfinished) -> None:
        """Take the next part until there is none; several of these share one iterator."""
        size = self._upload.source.size
        for number in numbers:
            etag = await self._send(f"{place}/{number}", (number - 1) * PART)
            async with self._saving:
                unfinished.etags[number] = etag
                await asyncio.to_thread(self._kept.save, unfinished)
            self._report(min(len(unfinished.etags) * PART, size), size)
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

    async def _complete(self, place: str, unfinished: Unfinished) -> None:
        parts = [{"partNumber": number, "etag": etag} for number, etag in sorted(unfinished.etags.items())]
        request = Request.post_json(f"{place}/complete", {"parts": parts})
        try:
            async for attempt in RetryBudget(self._settings.time):
                token = await self._tokens.get()
                with attempt:
                    check(await self._http.call(request, root=place, auth=token.header))
        except Refused:
            # A reply that was lost, or a process that was killed before it kept the link.
            if not await self._is_there(unfinished.access_url):
                raise

    async def _is_there(self, url: str) -> bool:
        root = url.rpartition("/")[0]
        return (await self._http.call(Request("HEAD", url), root=root, auth={})).status == 200


def _first(error: Exception) -> Exception:
    """What went wrong first, out of the groups that task groups make of it."""
    return (
        _first(cast("ExceptionGroup[Exception]", error).exceptions[0])
        if isinstance(error, ExceptionGroup)
        else error
    )
