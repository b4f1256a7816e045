"""Stored results: files by the SHA-256 of their bytes, in a folder or an object store."""

from __future__ import annotations

from ..settings import Settings
from .local import LocalResults
from .store import DamagedResult, ResultStore, StoredObject

__all__ = ["DamagedResult", "LocalResults", "ResultStore", "StoredObject", "open_results"]


def open_results(settings: Settings) -> ResultStore:
    """The configured result store: ``results_url``, or a folder in ``home``. Nothing is touched yet.

    Raises:
        InvalidParameter: ``results_url`` is not the address of an object store.
    """
    if not settings.results_url:
        return LocalResults(settings.home / "results")
    # Its library takes long to import, and few need it.
    from .remote import RemoteResults  # noqa: PLC0415

    return RemoteResults(settings.results_url, settings.time)
