"""A job as the ledger holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from ..providers.base import Handle
from ..states import CHARGED, JobState


@dataclass(frozen=True, kw_only=True)
class Intent:
    """A job that is about to be ordered.

    Attributes:
        model: the model's id.
        digest: SHA-256 of the input's content, or of its URL.
        identity: SHA-256 of all that the result depends on.
        parameters: as they will be sent.
        source: the input's path, or its URL.
        destination: absolute path of the file that the result is for; ``None`` where it stays in the store.
        sandbox: it goes to the sandbox, not to a provider.
        cost: the estimate in US dollars; ``None`` when unknown.
        account: stands for the provider's key and address, and tells neither.
        pixels: that the result will have, over all frames; ``None`` where the input's size is not known.
    """

    model: str
    digest: str
    identity: str
    parameters: Mapping[str, Any]
    source: str
    destination: str | None
    sandbox: bool
    cost: Decimal | None
    account: str
    pixels: int | None = None


@dataclass(frozen=True, kw_only=True)
class JobRow:
    """One job.

    Attributes:
        id: our own id; ids sort by the time of their making.
        model: the model's id.
        digest: SHA-256 of the input's content, or of its URL.
        identity: SHA-256 of all that the result depends on.
        parameters: as sent.
        source: the input's path, or its URL without query and without tokens in its path.
        destination: absolute path of the file that the result is for; ``None`` where it stays in the store.
        sandbox: it went to the sandbox, not to a provider.
        state: how far it has come.
        owner: the process that drives it; ``None`` when none does.
        account: stands for the key that pays for it; ``None`` in rows of earlier releases.
        request_id: the provider's id.
        handle: what is needed to ask the provider about it.
        link: SHA-256 of the link that the provider got for the input, without its query.
        cost: the estimate in US dollars, to the nano-dollar, 0 once it is certain that nothing was charged;
            ``None`` if unknown.
        pixels: that the result was to have, over all frames; ``None`` in rows of earlier releases.
        created: when it was prepared, UTC; likewise ``placed`` (it got a place among its account's),
            ``sent``, ``submitted``, ``stored`` and ``finished``.
        result_path: where the result was put; likewise its digest, length, width and height in pixels.
        error_kind: the kind of the last error; likewise its message.
        note: what else there is to know.
    """

    id: str
    model: str
    digest: str
    identity: str
    parameters: dict[str, Any]
    source: str
    destination: str | None
    sandbox: bool
    state: JobState
    owner: str | None
    account: str | None
    request_id: str | None
    handle: Handle | None
    link: str | None
    cost: Decimal | None
    pixels: int | None
    created: datetime
    placed: datetime | None
    sent: datetime | None
    submitted: datetime | None
    stored: datetime | None
    finished: datetime | None
    result_path: str | None
    result_sha256: str | None
    result_bytes: int | None
    width: int | None
    height: int | None
    error_kind: str | None
    error_message: str | None
    note: str | None

    @property
    def may_cost(self) -> bool:
        """Whether the provider has it, or may have it. Where not, it certainly cost nothing."""
        failed_and_charged = self.state is JobState.FAILED and self.cost != 0
        return self.request_id is not None or self.state in CHARGED or failed_and_charged

    @property
    def resumable(self) -> bool:
        """Whether there is something to fetch or to deliver."""
        if self.state is JobState.STORED:
            return True
        return self.state in (JobState.SUBMITTED, JobState.CANCELLED) and self.request_id is not None
