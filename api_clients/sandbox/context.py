"""What the parts of a running sandbox share."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..models import Model
from ..roots import Roots
from .jobs import Job, Jobs, Result


@dataclass(frozen=True, kw_only=True)
class Context:
    """A running sandbox.

    Attributes:
        url: its address, without a trailing slash.
        models: those that it serves.
        keys: the one valid key of each provider; a provider without an entry takes any.
        folder: for files.
    """

    url: str
    roots: Roots
    models: tuple[Model, ...]
    jobs: Jobs
    keys: Mapping[str, str]
    folder: Path

    def accepts(self, provider: str, key: str) -> bool:
        """Whether a key is valid."""
        return key == self.keys[provider] if provider in self.keys else bool(key)

    def model_at(self, provider: str, endpoint: str) -> Model | None:
        """The provider's model whose submits go to this path below its root."""
        for model in self.models:
            if model.provider == provider and model.endpoint.strip("/") == endpoint.strip("/"):
                return model
        return None

    def link(self, job: Job, result: Result) -> str:
        """The public link of a job's result."""
        return f"{self.url}/results/v1/{job.request_id}/{result.path.name}"

    async def link_or_inline(self, job: Job, result: Result) -> str:
        """The result's link, or with ``sync_mode`` the result itself as a data URI."""
        if not job.values.get("sync_mode"):
            return self.link(job, result)
        return await asyncio.to_thread(_data_uri, result)


def _data_uri(result: Result) -> str:
    return f"data:{result.media_type};base64,{base64.b64encode(result.path.read_bytes()).decode()}"
