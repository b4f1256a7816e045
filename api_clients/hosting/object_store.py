"""Hosting in an object store of the user's: S3 and its likes, Google Cloud Storage, Azure.

Imported only where there is one, as its library is large.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from datetime import timedelta

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError

from ..errors import HostingFailed
from ..http.progress import Progress
from ..object_stores import (
    PART,
    RemoteStore,
    connect,
    error_code,
    is_refusal,
    may_pass,
    no_credentials,
)
from ..settings import TimeLimits
from .hosted import IN_STORE, Hosted, Upload, failed

_LONGEST_LINK = 7 * 24 * 3600  # what S3 and Google sign at most, in seconds
_PARTS_AT_ONCE = 4


class ObjectStore:
    """Uploads under a name that is made of the content, and signs a link to it.

    Args:
        bucket_url: such as ``s3://bucket/prefix``; credentials and endpoint come from the store's own
            environment variables.
        limits: ``idle`` and ``retry`` are used.

    Raises:
        HostingFailed: the URL is not that of a store which can sign links.
    """

    def __init__(self, bucket_url: str, limits: TimeLimits) -> None:
        self._store = _connect(bucket_url, limits)
        self._url = bucket_url

    async def host(self, upload: Upload, report: Progress) -> Hosted:
        """Upload, unless the store has it already, and sign.

        Raises:
            HostingFailed: the store refuses, or cannot be reached.
            InvalidInput: the file cannot be read or has changed.
        """
        try:
            if await self._size(upload.name) != upload.source.size:
                await self._put(upload, report)
            seconds = min(upload.valid_for, _LONGEST_LINK)
            expires = time.time() + seconds
            url = await obstore.sign_async(self._store, "GET", upload.name, timedelta(seconds=seconds))
        except (BaseError, OSError, ValueError) as error:
            failure = _read(error)
            raise failure.but(hint=no_credentials(self._url) or failure.hint) from None
        return Hosted(url, expires, IN_STORE)

    async def _size(self, name: str) -> int | None:
        try:
            return (await obstore.head_async(self._store, name))["size"]
        except (FileNotFoundError, PermissionDeniedError):
            # Without the permission to list, S3 answers 403 for an object that is not there.
            return None

    async def _put(self, upload: Upload, report: Progress) -> None:
        size = upload.source.size
        small = size <= PART
        content = await asyncio.to_thread(upload.source.read, 0, size) if small else _reported(upload, report)
        await obstore.put_async(
            self._store,
            upload.name,
            content,
            attributes={"Content-Type": upload.media_type},
            use_multipart=not small,
            chunk_size=PART,
            max_concurrency=_PARTS_AT_ONCE,
        )
        report(size, size)


async def _reported(upload: Upload, report: Progress) -> AsyncGenerator[bytes]:
    done = 0
    async for piece in upload.source.stream():
        yield piece
        done += len(piece)
        report(done, upload.source.size)


def _connect(bucket_url: str, limits: TimeLimits) -> RemoteStore:
    store = connect(bucket_url, limits)
    if store is None:
        raise failed(
            "REMOTE_UPSCALE_BUCKET_URL is not the address of an object store that can sign links.",
            "Set it to s3://bucket/prefix, gs://bucket/prefix or az://container/prefix, and the store's own "
            "variables (AWS_ACCESS_KEY_ID, AZURE_STORAGE_ACCOUNT_NAME, …).",
        )
    return store


def _read(error: Exception) -> HostingFailed:
    """The store's error, of which only the code is passed on: its text may hold keys and signatures."""
    code = error_code(error)
    if is_refusal(error):
        return failed(
            f"The object store refuses the upload{code}.",
            "Check its credentials and that they may read and write the bucket of REMOTE_UPSCALE_BUCKET_URL.",
        )
    if isinstance(error, FileNotFoundError):
        return failed(
            f"The object store does not have this bucket{code}.",
            "Check REMOTE_UPSCALE_BUCKET_URL and the store's endpoint variable.",
        )
    return failed(
        f"The object store cannot be used{code}.",
        "Check REMOTE_UPSCALE_BUCKET_URL, the store's credentials and endpoint variables, and the network.",
        passes=may_pass(error),
    )
