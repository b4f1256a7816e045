"""Choosing where an input is put, and putting it there once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING

from ..files.spliced_file import SplicedFile
from ..http.client import Http
from ..http.progress import Progress
from ..locks import FileLock
from ..providers.fal import Fal
from ..redaction import get_logger
from ..settings import Settings
from .fal_storage import FalStorage
from .hosted import AT_FAL, FOLDER, IN_STORE, Hosted, Upload, failed
from .record import Record
from .single_flight import SingleFlight

if TYPE_CHECKING:
    from .object_store import ObjectStore

_log = get_logger(__name__)

_LOOK_AGAIN = 0.2
"""Seconds between two looks at whether another process is done with an upload."""


def fal_storage_usable(settings: Settings) -> bool:
    """Whether the key for fal may be sent to fal's storage.

    With a gateway as fal's queue root it is the gateway's key, which must not go to fal itself: there, the
    storage's root has to be set, too.
    """
    return settings.provider(Fal).rest_root is not None


def require_hosting(settings: Settings) -> None:
    """Check, without sending anything, that there is a place for files.

    Raises:
        HostingFailed: there is none, or its address is unusable; says which variable to set.
    """
    way = _way(settings)
    if way == IN_STORE and settings.bucket_url:
        _object_store(settings)


class Hosting:
    """Puts inputs where a provider can fetch them.

    The same bytes are uploaded once as long as their link is valid: those who ask at the same time share one
    upload, or wait for that of another process; an object store is asked whether it has them, and fal's links
    are kept in a private file.

    Args:
        settings: ``hosting``, ``bucket_url``, ``keys``, ``roots``, ``time`` and ``home`` are used.
        http: the client.
    """

    def __init__(self, settings: Settings, http: Http) -> None:
        self._settings = settings
        self._http = http
        self._flights: SingleFlight[Hosted] = SingleFlight()
        self._record = Record(settings.home / "hosted.json")

    async def host(
        self,
        source: SplicedFile,
        *,
        name_suffix: str,
        media_type: str,
        digest: str,
        valid_for: float,
        progress: Progress | None = None,
    ) -> Hosted:
        """Upload a file, unless that was done before, and give a link to it.

        Args:
            source: the file.
            name_suffix: such as ``.png``.
            media_type: such as ``image/png``.
            digest: SHA-256 of the source's bytes, in hexadecimal.
            valid_for: seconds for which the link has to work.
            progress: called in the event loop with the bytes uploaded so far and their total; not at all if
                nothing has to be uploaded. What it raises is logged.

        Raises:
            HostingFailed: there is no place for files, it does not take this one, or ``time.transfer`` is
                over.
            AuthenticationFailed, InsufficientBalance, Forbidden: of fal's key and its account.
            InvalidInput: the file cannot be read or has changed.
        """
        way = _way(self._settings)
        upload = Upload(source, digest, name_suffix, media_type, valid_for)
        put = self._in_store if way == IN_STORE else self._at_fal
        key = (digest, name_suffix, media_type, valid_for)
        return await self._flights.run(key, partial(self._in_time, partial(put, upload)), progress)

    async def _in_time(self, put: Callable[[Progress], Awaitable[Hosted]], report: Progress) -> Hosted:
        seconds = self._settings.time.transfer
        try:
            async with asyncio.timeout(seconds):
                return await put(report)
        except TimeoutError:
            raise failed(
                f"The input was not uploaded after {seconds:g} s.",
                "Try again later, or raise transfer under [time] in settings.toml.",
                passes=True,
            ) from None

    @cached_property
    def _store(self) -> ObjectStore:
        return _object_store(self._settings)

    @cached_property
    def _fal(self) -> FalStorage:
        return FalStorage(self._settings, self._http)

    async def _in_store(self, upload: Upload, report: Progress) -> Hosted:
        async with self._alone(self._settings.bucket_url or "", upload):
            return await self._store.host(upload, report)

    async def _at_fal(self, upload: Upload, report: Progress) -> Hosted:
        place, name = str(self._settings.provider(Fal).rest_root), f"{upload.name} {upload.media_type}"
        until = time.time() + upload.valid_for
        async with self._alone(place, upload):
            known = await asyncio.to_thread(self._record.find, place, name, AT_FAL, until)
            if known is not None:
                if await self._fal.works(known):
                    return known
                await asyncio.to_thread(self._record.remove, place, name)
            hosted = await self._fal.host(upload, report)
            await asyncio.to_thread(self._record.add, place, name, hosted)
            return hosted

    @asynccontextmanager
    async def _alone(self, place: str, upload: Upload) -> AsyncGenerator[None]:
        """Wait until no other process uploads this, and keep them waiting. Without locks, do without."""
        path = self._settings.home / FOLDER / f"{upload.content_at(place)}.lock"
        try:
            # Not in a thread, which might take it after a cancellation, for nobody.
            while (lock := FileLock.try_take(path)) is None:  # noqa: ASYNC110 (of another process)
                await asyncio.sleep(_LOOK_AGAIN)
        except OSError as error:
            _log.debug("Uploads cannot be locked: %s", error)
            lock = None
        try:
            yield
        finally:
            if lock is not None:
                lock.release()


def _object_store(settings: Settings) -> ObjectStore:
    from .object_store import ObjectStore  # noqa: PLC0415 (its library is large, and few need it)

    return ObjectStore(settings.bucket_url or "", settings.time)


def _way(settings: Settings) -> str:
    """The one way that holds for these settings; raises where there is none."""
    wanted, bucket, key = settings.hosting, settings.bucket_url, settings.keys.get("fal")
    if wanted == "url":
        raise failed(
            "Files are not uploaded, because REMOTE_UPSCALE_HOSTING is url.",
            "Give a public https URL as the input, or set REMOTE_UPSCALE_HOSTING to auto.",
        )
    if bucket and wanted in ("auto", IN_STORE):
        return IN_STORE
    if wanted == IN_STORE:
        raise failed(
            "REMOTE_UPSCALE_HOSTING is object-store, but there is no bucket.",
            "Set REMOTE_UPSCALE_BUCKET_URL, such as s3://bucket/prefix.",
        )
    if key is not None and fal_storage_usable(settings):
        return AT_FAL
    if key is not None:
        raise failed(
            "Inputs are not put into fal's storage, because REMOTE_UPSCALE_FAL_QUEUE_URL is a gateway, whose "
            "key must not go to fal.",
            "Set REMOTE_UPSCALE_FAL_REST_URL to where the gateway gives upload tokens, or "
            "REMOTE_UPSCALE_BUCKET_URL to an object store of yours, or give a public https URL as the input.",
        )
    if wanted == AT_FAL:
        raise failed("REMOTE_UPSCALE_HOSTING is fal, but there is no key for fal.", "Set FAL_KEY.")
    raise failed(
        "There is no place where the provider could fetch the input from.",
        "Set REMOTE_UPSCALE_BUCKET_URL (an object store of yours, such as s3://bucket/prefix) or FAL_KEY "
        "(fal's storage), or give a public https URL as the input.",
    )
