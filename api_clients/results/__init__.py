"""Stored results: files by the SHA-256 of their bytes, in a folder or an object store."""

from .store import DamagedResult, Results, StoredObject

__all__ = ["DamagedResult", "Results", "StoredObject"]
