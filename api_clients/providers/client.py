"""A provider together with the means to talk to it: the HTTP client, the key, and the one retry loop."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from ..errors import AuthenticationFailed, Cancelled, Meaning, RemoteUpscaleError, SubmissionUnknown
from ..http import Http
from ..http.retry import RetryBudget
from ..http_messages import Reply, Request
from ..models import Model
from ..parameters import Value
from ..settings import Settings
from .base import Provider, Submitted, submission_unknown

T = TypeVar("T")

_LARGE = 1 << 20
"""Bytes from which a reply (an inline result) is parsed in a thread, so that the event loop is not held."""


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What a reply says, and how long it asks us to wait before the next request (seconds)."""

    value: T
    retry_after: float | None


class SubmitAttempts:
    """The attempts at one submit, for whoever may have to stop them.

    Attributes:
        refusal: why there certainly is no job; ``None`` while an attempt is under way, and from then on
            where it may have been accepted.
        stopped: no further attempt is to be made.
    """

    def __init__(self) -> None:
        self.refusal: RemoteUpscaleError | None = Cancelled(
            "The job was stopped before it was sent.", meaning=Meaning.NOT_SENT
        )
        self.stopped = False


class ProviderClient:
    """Asks a provider, with its key and at its root only.

    Args:
        provider: its protocol.
        settings: the key, ``time`` and ``poll_floor`` are used.
        http: sends.
    """

    def __init__(self, provider: Provider, settings: Settings, http: Http) -> None:
        self.provider = provider
        self._settings = settings
        self._http = http

    @property
    def account(self) -> str:
        """What stands for the key at this provider in the ledger; neither can be read from it."""
        key = self._settings.keys.get(self.provider.name)
        told = f"{self.provider.root}\n{key.reveal() if key else ''}"
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def require_key(self) -> str:
        """The provider's key.

        Raises:
            AuthenticationFailed: there is none; says which variable to set.
        """
        return require_key(self.provider, self._settings)

    async def check_names(self) -> None:
        """See, before anything is ordered, that names lead to where a link to a result could be followed to.

        Raises:
            ProviderUnavailable: they do not; says why, and what to do.
            InvalidParameter: the environment names a proxy that cannot be used.
        """
        own = self.provider.given.get(self.provider.roots[0].name) is None
        await self._http.check_name(self.provider.root, public=own)

    async def ask(
        self, request: Request, read: Callable[[Reply], T], *, root: str | None = None
    ) -> Answer[T]:
        """Ask a question until it is answered, or the time for trying again is over.

        Args:
            request: what to ask; asking twice must do no harm.
            read: reads the reply; what it raises decides whether to ask again.
            root: another configured one of the provider's than the usual.

        Raises:
            RemoteUpscaleError: the last failure.
        """
        async for attempt in RetryBudget(self._settings.time, floor=self._settings.poll_floor):
            with attempt:
                return await self.ask_once(request, read, root=root)
        raise AssertionError("a retried block ends by returning or raising")

    async def ask_once(
        self, request: Request, read: Callable[[Reply], T], *, root: str | None = None
    ) -> Answer[T]:
        """Ask a question once; for those who ask again by a schedule of their own."""
        key = self.require_key()
        reply = await self._http.call(
            request, root=root or self.provider.root, auth=self.provider.authorise(key)
        )
        if len(reply.body) > _LARGE:
            await asyncio.to_thread(reply.parse)
        return Answer(read(reply), reply.retry_after)

    async def submit(
        self,
        model: Model,
        values: Mapping[str, Value],
        link: str,
        attempts: SubmitAttempts,
        *,
        retry: float,
    ) -> Answer[Submitted]:
        """Submit a job: the one request that costs money. Repeated only when it certainly was not accepted.

        Args:
            model: the upscaler.
            values: its checked parameters.
            link: where the provider finds the input.
            attempts: told of each; a caller who is cancelled reads there whether a job may have come of it.
            retry: seconds in which it may be tried again.

        Raises:
            SubmissionUnknown: it was sent and may have been accepted; never sent again by us.
            RemoteUpscaleError: the provider refused it, or it was never sent.
        """
        request = self.provider.submit(model, values, link)
        async for attempt in RetryBudget(replace(self._settings.time, retry=retry), submit=True):
            if attempts.stopped and attempts.refusal is not None:
                raise attempts.refusal
            with attempt:
                attempts.refusal = None
                try:
                    return await self.ask_once(request, lambda reply: self.provider.read_submit(model, reply))
                except RemoteUpscaleError as error:
                    if error.meaning.not_accepted:
                        attempts.refusal = error
                        raise
                    if error.meaning is Meaning.OVER:
                        raise
                    if isinstance(error, SubmissionUnknown):
                        raise
                    raise submission_unknown(self.provider.title, error.message) from None
        raise AssertionError("a retried block ends by returning or raising")


def require_key(provider: Provider | type[Provider], settings: Settings) -> str:
    """The key of a provider; raises as ``ProviderClient.require_key`` does."""
    key = settings.keys.get(provider.name)
    if key is None:
        raise AuthenticationFailed(
            f"There is no key for {provider.title}.",
            hint=f"Set {provider.key_variable} or put the key into credentials.toml; "
            "REMOTE_UPSCALE_SANDBOX=1 tries it without.",
            meaning=Meaning.NOT_SENT,
        )
    return key.reveal()
