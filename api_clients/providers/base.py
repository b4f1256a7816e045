"""What a provider is: its protocol as pure functions. Sans-IO: no sockets, no sleeping, no retrying here.

A ``Provider`` builds requests and reads replies; the engine does everything in between. A new provider is a
subclass that fills in the steps marked "fill in"; the others are usually left alone.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar
from urllib.parse import quote

from ..errors import (
    BadResponse,
    Meaning,
    NotFound,
    ProviderUnavailable,
    RemoteUpscaleError,
    SubmissionUnknown,
)
from ..http_messages import Reply, Request
from ..models import Model
from ..parameters import Parameter, Value
from ..roots import Root, Roots
from ..text import clean
from ..urls import lies_under


@dataclass(frozen=True)
class Handle:
    """A job at a provider. Can be rebuilt from the request id alone, so resuming needs no more than that."""

    provider: str
    model: str
    request_id: str
    status_url: str
    result_url: str | None = None
    cancel_url: str | None = None


@dataclass(frozen=True)
class Output:
    """Where a finished result is: a link, or the bytes themselves when the provider sent them inline."""

    url: str = field(repr=False)
    media_type: str | None = None


@dataclass(frozen=True)
class Queued:
    """Accepted and waiting. ``position`` counts those in front, where the provider tells."""

    position: int | None = None


@dataclass(frozen=True)
class Running:
    """Being worked on. ``note`` is a state word that is not documented, reported as it came."""

    note: str | None = None


@dataclass(frozen=True)
class Done:
    """Finished. ``output`` is ``None`` where the result takes one more request."""

    output: Output | None


@dataclass(frozen=True)
class Failed:
    """Finished without a result.

    Attributes:
        error: why; it always means ``OVER``.
        charged: ``False`` where the provider's page says that such a job costs nothing.
    """

    error: RemoteUpscaleError
    charged: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "error", self.error.but(meaning=Meaning.OVER))


State = Queued | Running | Done | Failed


@dataclass(frozen=True)
class Submitted:
    """The reply to a submit: the job's handle and its state, which may already be a final one.

    A job that was finished in the reply itself may have no handle.
    """

    handle: Handle | None
    state: State


@dataclass(frozen=True)
class Found:
    """A page of a provider's own history: the jobs on it that were asked for with what we sent.

    ``next_page`` is what to ask for the next one with; ``None`` where there is none.
    """

    handles: tuple[Handle, ...]
    next_page: str | None = None


class Provider(ABC):
    """One provider: what it declares of itself, and its protocol.

    All else that needs to know of a provider (settings, credentials, checks, hints, help pages) reads these
    declarations.

    Attributes:
        name: as in model ids, and in ``credentials.toml``.
        title: for people.
        key_variable: the environment variable of its key.
        roots: its addresses. Jobs are sent to the first.
        models: what it offers.
        options: what ``settings.toml`` may say in a table with the provider's name.
        top_up: where to add money, for hints.
        cancels: whether a job can be cancelled there.

    Args:
        given: the roots that were set.
        options: the options that were set.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    key_variable: ClassVar[str]
    roots: ClassVar[tuple[Root, ...]]
    models: ClassVar[tuple[Model, ...]]
    options: ClassVar[tuple[Parameter, ...]] = ()
    top_up: ClassVar[str]
    cancels: ClassVar[bool] = False

    def __init__(self, given: Roots, options: Mapping[str, Value] | None = None) -> None:
        self.given = given
        self._options = {option.name: option.default for option in self.options} | dict(options or {})

    @property
    def root(self) -> str:
        """Where jobs are sent: the only place the key is sent to, but for what ``find`` asks."""
        return self.root_of(self.roots[0].name)

    def root_of(self, name: str) -> str:
        """The address of a declared root: the one that was set, else the provider's own."""
        return self.given.get(name) or self.own(name)

    def own(self, name: str) -> str:
        """The provider's own address for a declared root, whatever was set."""
        return next(root.default for root in self.roots if root.name == name)

    @abstractmethod
    def authorise(self, key: str) -> Mapping[str, str]:
        """Fill in: the headers that carry the key."""

    @abstractmethod
    def read_error(self, reply: Reply) -> RemoteUpscaleError | None:
        """Fill in: what went wrong, or ``None`` when the reply is not an error."""

    @abstractmethod
    def read_accepted(self, model: Model, reply: Reply) -> Submitted:
        """Fill in: read the reply to a submit that is not an error."""

    @abstractmethod
    def read_state(self, reply: Reply) -> State:
        """Fill in: read the reply to a status request that is not an error."""

    @abstractmethod
    def handle(self, model: Model, request_id: str) -> Handle:
        """Fill in: rebuild a job's handle from its id."""

    @abstractmethod
    def is_provider_reply(self, reply: Reply) -> bool:
        """Fill in: whether an error reply is in the provider's own words, as strictly as its pages allow.

        Anything else comes from a proxy, a gateway or a network's sign-in page on the way, and says nothing
        about a job.
        """

    def read_submit(self, model: Model, reply: Reply) -> Submitted:
        """Read the reply to a submit; usually left alone.

        An error that leaves open whether there is a job is believed only in the provider's own words.

        Raises:
            SubmissionUnknown: the reply does not tell whether there is a job now.
            RemoteUpscaleError: the provider refused.
        """
        error = self.read_error(reply)
        if error is not None:
            if reply.status == 503 and reply.is_page and reply.retry_after is None:
                # A proxy says so of itself as well as of a provider that broke off after it had the request.
                raise submission_unknown(self.title, f"HTTP {reply.status}")
            if error.meaning.not_accepted:
                offered = "`remote-upscale models` lists what this version offers. "
                more = offered if isinstance(error, NotFound) else ""
                raise error.but(hint=f"{error.hint} {more}Nothing was charged.".lstrip())
            if not self.is_provider_reply(reply):
                raise submission_unknown(self.title, f"HTTP {reply.status}")
            raise error.but(meaning=Meaning.OVER)
        try:
            return self.read_accepted(model, reply)
        except BadResponse as unusable:
            raise submission_unknown(self.title, unusable.message) from None

    def read_status(self, reply: Reply) -> State:
        """Read the reply to a status request; usually left alone.

        Raises:
            RemoteUpscaleError: what ``raise_error`` raises.
            BadResponse: it cannot be read; may be asked again.
        """
        self.raise_error(reply)
        return self.read_state(reply)

    def raise_error(self, reply: Reply) -> None:
        """Raise the error in the reply to a question, if there is one; usually left alone.

        Raises:
            BadResponse, ProviderUnavailable: it is not in the provider's own words, so that nothing is known.
            RemoteUpscaleError: what the provider says.
        """
        error = self.read_error(reply)
        if error is None:
            return
        if self.is_provider_reply(reply):
            raise error
        busy = reply.status == 429 or reply.status >= 500
        raise (ProviderUnavailable if busy else BadResponse)(
            f"{self.title} was asked, but HTTP {reply.status} came back that is not in its words.",
            hint="A proxy, a gateway or a network's sign-in page may have answered; try again later.",
            meaning=Meaning.UNKNOWN,
            retry_after=reply.retry_after,
        )

    def notes(self, handle: Handle, reply: Reply) -> tuple[str, ...]:
        """What a status or result reply tells of a job beyond its state, in sentences for the user."""
        return ()

    def document(self, model: Model, values: Mapping[str, Value], media_url: str) -> dict[str, object]:
        """The submit's body; usually left alone."""
        return {model.media_field: media_url, **values}

    def submit(self, model: Model, values: Mapping[str, Value], media_url: str) -> Request:
        """The submit request; usually left alone."""
        return Request.post_json(f"{self.root}{model.endpoint}", self.document(model, values, media_url))

    def status(self, handle: Handle) -> Request:
        """The status request; usually left alone."""
        return Request("GET", handle.status_url)

    def result(self, handle: Handle) -> Request:
        """The request for a finished job's result; to be filled in where the status does not hold it."""
        return self.status(handle)

    def read_result(self, reply: Reply) -> State:
        """Read the reply to ``result``; to be filled in together with it. Raises as ``read_status``."""
        return self.read_status(reply)

    def cancel(self, handle: Handle) -> Request | None:
        """The request that cancels a job, where that exists."""
        return Request("PUT", handle.cancel_url) if handle.cancel_url else None

    def read_cancel(self, reply: Reply) -> bool:
        """Whether the provider took the cancellation; usually left alone."""
        return 200 <= reply.status < 300

    @property
    def history_root(self) -> str | None:
        """Where ``find`` asks, with the key; ``None`` where it may not. To be filled in together with it."""
        return self.root

    def find(self, model: Model, since: datetime, until: datetime, page: str | None = None) -> Request | None:
        """The request for the jobs that were submitted in a time, where there is a list that may be asked."""
        return None

    def read_found(
        self, model: Model, reply: Reply, values: Mapping[str, Value], is_input: Callable[[str], bool]
    ) -> Found:
        """Read the reply to ``find``; to be filled in together with it. Raises as ``read_status``.

        Args:
            model: what was submitted to.
            reply: to be read.
            values: the parameters that were sent.
            is_input: whether a link is that of the input that was sent.
        """
        return Found(())

    def balance(self) -> Request | None:
        """A free request that shows whether the key works, where there is one."""
        return None

    def read_balance(self, reply: Reply) -> str:
        """The balance in words, from the reply to ``balance``; raises as ``read_status``."""
        self.raise_error(reply)
        reply.object()  # the page of a proxy shows nothing
        return "the key works"

    def under_root(self, url: object) -> str | None:
        """The URL if it is one that the key may be sent to, else ``None``."""
        return url if isinstance(url, str) and lies_under(self.root, url) else None


def submission_unknown(provider: str, why: str) -> SubmissionUnknown:
    """The error for a submit whose fate nobody can tell."""
    return SubmissionUnknown(
        f"The job was sent to {provider}, but nothing tells whether it was accepted ({clean(why)}).",
        hint="It may be charged. Look at the provider's history first: a new run may be charged too.",
    )


_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:~+=@/|,;!$*(){}-]{1,200}")


def read_request_id(value: object) -> str:
    """A job's id as a provider gave it, checked so that it is safe in a path, a query and a log.

    Raises:
        BadResponse: it is no usable id; says what it is, as it stands for what is paid for.
    """
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _REQUEST_ID.fullmatch(text) or _leads_elsewhere(text):
        given = f": {clean(value)}" if value else ""
        raise BadResponse(f"The provider accepted the job but gave no usable id for it{given}.")
    return text


def _leads_elsewhere(request_id: str) -> bool:
    """Whether a server that unquotes an id in a path would take it for steps up."""
    return any(not part.strip(".") for part in request_id.split("/"))


def in_path(request_id: str) -> str:
    """An id as one path segment or query value."""
    return quote(request_id, safe="")
