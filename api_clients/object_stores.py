"""Connecting to object stores, and reading their errors."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import AzureStore, GCSStore, S3Store, from_url

from .settings import TimeLimits

if TYPE_CHECKING:  # they exist in the type stubs only
    from obstore.store import ClientConfig, RetryConfig

RemoteStore = S3Store | GCSStore | AzureStore

PART = 8 << 20
"""Bytes of one part of a large object: 10,000 of them make 80 GB, and S3 wants 5 MiB at least."""

_FIRST_WAIT = timedelta(seconds=0.25)
_LONGEST_WAIT = timedelta(seconds=15)
_MOST_RETRIES = 1000  # the time decides
_SLOWEST_PART = 300  # seconds for one request: a part at 27 kB/s
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_PASSING = {
    "InternalError",
    "OperationTimedOut",
    "RequestTimeout",
    "ServerBusy",
    "ServiceUnavailable",
    "SlowDown",
}
_AWS_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)
_ENDPOINT_VARIABLES = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT",
    "GOOGLE_BASE_URL",
)


def connect(url: str, limits: TimeLimits) -> RemoteStore | None:
    """The store at an address such as ``s3://bucket/prefix``; ``None`` where it is not that of one.

    Args:
        url: credentials and endpoint come from the store's own environment variables.
        limits: ``idle`` and ``retry`` are used.
    """
    plain = any(os.environ.get(variable, "").startswith("http://") for variable in _ENDPOINT_VARIABLES)
    client: ClientConfig = {
        "allow_http": plain,
        "connect_timeout": timedelta(seconds=min(limits.idle, 30)),
        "read_timeout": timedelta(seconds=limits.idle),
        "timeout": timedelta(seconds=_SLOWEST_PART),
    }
    retry: RetryConfig = {  # of each request: a part that is through stays, and begins the time anew
        "max_retries": _MOST_RETRIES,
        "retry_timeout": timedelta(seconds=limits.retry),
        "backoff": {"init_backoff": _FIRST_WAIT, "max_backoff": _LONGEST_WAIT, "base": 2},
    }
    try:
        store = from_url(url, client_options=client, retry_config=retry)
    except (BaseError, OSError, ValueError):
        return None
    return store if isinstance(store, (S3Store, GCSStore, AzureStore)) else None


def no_credentials(url: str) -> str:
    """A sentence that names the credentials that were looked for and not found; empty where there are some.

    A machine in Amazon's cloud may have them without any variable, so this is for the hint of an error.

    Args:
        url: the store's address.
    """
    if not url.startswith(("s3://", "s3a://")) or any(os.environ.get(name) for name in _AWS_CREDENTIALS):
        return ""
    return (
        "No credentials were found: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, and AWS_PROFILE "
        "and the files in ~/.aws are not read. `aws configure export-credentials --format env` prints the "
        "variables to set."
    )


def error_code(error: Exception) -> str:
    """The store's word for an error, in brackets; its text may hold keys and signatures."""
    found = _CODE.search(str(error))
    return f" ({found[1]})" if found else ""


def is_refusal(error: Exception) -> bool:
    """Whether the store does not take our credentials."""
    return isinstance(error, (PermissionDeniedError, UnauthenticatedError))


def may_pass(error: Exception) -> bool:
    """Whether the store could not be reached, did not answer, or is too busy."""
    found = _CODE.search(str(error))
    return type(error).__name__ == "GenericError" and (found is None or found[1] in _PASSING)
