"""Hosting in an object store of the user's: S3 and its likes, Google Cloud Storage, Azure."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import (
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import AzureStore, GCSStore, S3Store, from_url

from ..errors import HostingFailed
from ..settings import TimeLimits
from .hosted import Hosted, Report, Upload, failed

if TYPE_CHECKING:  # they exist in the type stubs only
    from obstore.store import ClientConfig, RetryConfig

WAY = "object-store"

Store = S3Store | GCSStore | AzureStore

_LONGEST_LINK = 7 * 24 * 3600  # what S3 and Google sign at most, in seconds
_PART = 8 << 20  # 10,000 of them make 80 GB; S3 wants 5 MiB at least
_PARTS_AT_ONCE = 4
_SLOWEST_PART = 300  # seconds for one request: a part at 27 kB/s
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_ENDPOINT_VARIABLES = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT",
    "GOOGLE_BASE_URL",
)


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

    async def host(self, upload: Upload, report: Report) -> Hosted:
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
            raise _read(error) from None
        return Hosted(url, expires, WAY)

    async def _size(self, name: str) -> int | None:
        try:
            return (await obstore.head_async(self._store, name))["size"]
        except (FileNotFoundError, PermissionDeniedError):
            # Without the permission to list, S3 answers 403 for an object that is not there.
            return None

    async def _put(self, upload: Upload, report: Report) -> None:
        size = upload.source.size
        small = size <= _PART
        content = await asyncio.to_thread(upload.source.read, 0, size) if small else _reported(upload, report)
        await obstore.put_async(
            self._store,
            upload.name,
            content,
            attributes={"Content-Type": upload.media_type},
            use_multipart=not small,
            chunk_size=_PART,
            max_concurrency=_PARTS_AT_ONCE,
        )
        report(size, size)


async def _reported(upload: Upload, report: Report) -> AsyncGenerator[bytes]:
    done = 0
    async for piece in upload.source.stream():
        yield piece
        done += len(piece)
        report(done, upload.source.size)


def _connect(bucket_url: str, limits: TimeLimits) -> Store:
    plain = any(os.environ.get(variable, "").startswith("http://") for variable in _ENDPOINT_VARIABLES)
    client: ClientConfig = {
        "allow_http": plain,
        "connect_timeout": timedelta(seconds=min(limits.idle, 30)),
        "read_timeout": timedelta(seconds=limits.idle),
        "timeout": timedelta(seconds=_SLOWEST_PART),
    }
    retry: RetryConfig = {"max_retries": 6, "retry_timeout": timedelta(seconds=limits.retry)}
    try:
        store = from_url(bucket_url, client_options=client, retry_config=retry)
    except (BaseError, OSError, ValueError):
        store = None
    if isinstance(store, (S3Store, GCSStore, AzureStore)):
        return store
    raise failed(
        "REMOTE_UPSCALE_BUCKET_URL is not the address of an object store that can sign links.",
        "Set it to s3://bucket/prefix, gs://bucket/prefix or az://container/prefix, and the store's own "
        "variables (AWS_ACCESS_KEY_ID, AZURE_STORAGE_ACCOUNT_NAME, …).",
    )


def _read(error: Exception) -> HostingFailed:
    """The store's error, of which only the code is passed on: its text may hold keys and signatures."""
    found = _CODE.search(str(error))
    code = f" ({found[1]})" if found else ""
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
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
        transient=found is None and type(error).__name__ == "GenericError",
    )
