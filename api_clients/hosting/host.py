"""Choosing where an input is put, and putting it there once."""

from __future__ import annotations

import asyncio
import time
from functools import cached_property, partial

from ..files.spliced_file import SplicedFile
from ..http.client import Http
from ..providers.fal import Fal
from ..settings import Settings
from . import fal_storage, object_store
from .fal_storage import FalStorage
from .hosted import Hosted, Report, Upload, failed
from .object_store import ObjectStore
from .record import Record
from .single_flight import SingleFlight


def require_hosting(settings: Settings) -> None:
    """Check, without sending anything, that there is a place for files.

    Raises:
        HostingFailed: there is none, or its address is unusable; says which variable to set.
    """
    way = _way(settings)
    if way == object_store.WAY and settings.bucket_url:
        ObjectStore(settings.bucket_url, settings.time)


class Hosting:
    """Puts inputs where a provider can fetch them.

    The same bytes are uploaded once as long as their link is valid: those who ask at the same time share one
    upload, an object store is asked whether it has them, and fal's links are kept in a private file.

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
        progress: Report | None = None,
    ) -> Hosted:
        """Upload a file, unless that was done before, and give a link to it.

        Args:
            source: the file.
            name_suffix: such as ``.png``.
            media_type: such as ``image/png``.
            digest: SHA-256 of the source's bytes, in hexadecimal.
            valid_for: seconds for which the link has to work.
            progress: called in the event loop with the bytes uploaded so far and their total; not at all if
                nothing has to be uploaded.

        Raises:
            HostingFailed: there is no place for files, or it does not take this one.
            AuthenticationFailed, InsufficientBalance, Forbidden: of fal's key and its account.
            InvalidInput: the file cannot be read or has changed.
        """
        way = _way(self._settings)
        upload = Upload(source, digest, name_suffix, media_type, valid_for)
        work = partial(self._in_store if way == object_store.WAY else self._at_fal, upload)
        return await self._flights.run((digest, name_suffix, media_type, valid_for), work, progress)

    @cached_property
    def _store(self) -> ObjectStore:
        return ObjectStore(self._settings.bucket_url or "", self._settings.time)

    @cached_property
    def _fal(self) -> FalStorage:
        return FalStorage(self._settings, self._http)

    async def _in_store(self, upload: Upload, report: Report) -> Hosted:
        return await self._store.host(upload, report)

    async def _at_fal(self, upload: Upload, report: Report) -> Hosted:
        place, name = str(self._settings.provider(Fal).rest_root), f"{upload.name} {upload.media_type}"
        until = time.time() + upload.valid_for
        known = await asyncio.to_thread(self._record.find, place, name, fal_storage.WAY, until)
        if known is not None:
            if await self._fal.works(known):
                return known
            await asyncio.to_thread(self._record.remove, place, name)
        hosted = await self._fal.host(upload, report)
        await asyncio.to_thread(self._record.add, place, name, hosted)
        return hosted


def _way(settings: Settings) -> str:
    """The one way that holds for these settings; raises where there is none."""
    wanted, bucket, key = settings.hosting, settings.bucket_url, settings.keys.get("fal")
    if wanted == "url":
        raise failed(
            "Files are not uploaded, because REMOTE_UPSCALE_HOSTING is url.",
            "Give a public https URL as the input, or set REMOTE_UPSCALE_HOSTING to auto.",
        )
    if bucket and wanted in ("auto", object_store.WAY):
        return object_store.WAY
    if wanted == object_store.WAY:
        raise failed(
            "REMOTE_UPSCALE_HOSTING is object-store, but there is no bucket.",
            "Set REMOTE_UPSCALE_BUCKET_URL, such as s3://bucket/prefix.",
        )
    if key is not None:
        return fal_storage.WAY
    if wanted == fal_storage.WAY:
        raise failed("REMOTE_UPSCALE_HOSTING is fal, but there is no key for fal.", "Set FAL_KEY.")
    raise failed(
        "There is no place where the provider could fetch the input from.",
        "Set REMOTE_UPSCALE_BUCKET_URL (an object store of yours, such as s3://bucket/prefix) or FAL_KEY "
        "(fal's storage), or give a public https URL as the input.",
    )
