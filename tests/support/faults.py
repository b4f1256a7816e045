"""What a test can make go wrong in a ``FaultySandbox``, and where.

A ``Fault`` is a rule: at this stage, the next so many times, do this instead of what is documented. What to
do is an ``Action``; the functions here make them, with only the arguments that each one takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Stage(StrEnum):
    """Where a fault strikes: the sandbox's own stages, which are requests, and its work on a job."""

    SUBMIT = "submit"
    STATUS = "status"
    RESULT = "result"
    CANCEL = "cancel"
    BALANCE = "balance"
    FIND = "find"
    """The provider's list of earlier requests."""
    TOKEN = "token"
    UPLOAD = "upload"
    INITIATE = "initiate"
    DOWNLOAD = "download"
    INPUT = "input"
    """The sandbox's own fetch of the hosted input."""
    RUN = "run"
    """The work on an accepted job."""


class Do(StrEnum):
    """The kinds of actions; the functions of the same names below say what each one does."""

    ERROR = "error"
    LITERAL = "literal"
    REDIRECT = "redirect"
    RESET = "reset"
    HANG = "hang"
    LOST_REPLY = "lost_reply"
    SLOW = "slow"
    TRUNCATED = "truncated"
    OVERSIZED = "oversized"
    GARBAGE = "garbage"
    WRONG_TYPE = "wrong_type"
    STATE = "state"
    NO_OUTPUT = "no_output"
    STRING_OUTPUT = "string_output"
    FINISHED = "finished"
    FINISHED_LIST = "finished_list"
    FAILS = "fails"
    RESIZED = "resized"
    IGNORED = "ignored"


class Garbage(StrEnum):
    """Replies that nobody documents."""

    HTML = "html"
    BINARY = "binary"
    CUT_JSON = "cut_json"
    NESTED = "nested"
    HUGE = "huge"
    EMPTY = "empty"


@dataclass(frozen=True, kw_only=True)
class Action:
    """What happens instead. Which fields count depends on ``do``; the functions below set them."""

    do: Do
    status: int | None = None
    http_status: int | None = None
    code: str | None = None
    message: str | None = None
    retry_after: float | None = None
    body: str = ""
    content_type: str | None = None
    url: str = ""
    seconds: float = 1.0
    size: int = 0
    scale: float = 0.5
    word: str = ""
    kind: Garbage = Garbage.HTML


def error(
    status: int,
    *,
    code: str | None = None,
    message: str | None = None,
    retry_after: float | None = None,
    http_status: int | None = None,
) -> Action:
    """The provider's documented error body of this status, without doing what was asked.

    Args:
        status: HTTP status, and the envelope's code at APIXO.
        code: fal's error type.
        message: instead of the documented text.
        retry_after: seconds, sent as ``Retry-After``.
        http_status: where the HTTP status differs from the envelope's code (APIXO: 200).
    """
    return Action(
        do=Do.ERROR,
        status=status,
        code=code,
        message=message,
        retry_after=retry_after,
        http_status=http_status,
    )


def literal(body: str, *, status: int = 200, content_type: str = "application/json") -> Action:
    """Exactly this reply, without doing what was asked."""
    return Action(do=Do.LITERAL, body=body, status=status, content_type=content_type)


def redirect(url: str, *, status: int = 302) -> Action:
    """A redirect to ``url``."""
    return Action(do=Do.REDIRECT, url=url, status=status)


def reset() -> Action:
    """The connection is reset before the request's body is read; nothing is done."""
    return Action(do=Do.RESET)


def hang(*, accepted: bool = False) -> Action:
    """No answer until the client goes away; with ``accepted`` what was asked is done first."""
    return Action(do=Do.HANG, word="accepted" if accepted else "")


def lost_reply() -> Action:
    """What was asked is done, then the connection is reset instead of a reply."""
    return Action(do=Do.LOST_REPLY)


def slow(seconds: float = 1.0) -> Action:
    """The real reply, its body in ten pieces over so many seconds."""
    return Action(do=Do.SLOW, seconds=seconds)


def truncated() -> Action:
    """The real reply, but the connection ends halfway through the announced length."""
    return Action(do=Do.TRUNCATED)


def oversized(size: int) -> Action:
    """The real body and then so many bytes more, chunked, so that no length is announced."""
    return Action(do=Do.OVERSIZED, size=size)


def garbage(kind: Garbage | str = Garbage.HTML, *, status: int | None = None, size: int = 1 << 24) -> Action:
    """What was asked is done, but the reply is none; ``size`` is that of a huge one in bytes."""
    return Action(do=Do.GARBAGE, kind=Garbage(kind), status=status, size=size)


def wrong_type(content_type: str = "text/html") -> Action:
    """The real reply under another ``Content-Type``."""
    return Action(do=Do.WRONG_TYPE, content_type=content_type)


def state(word: str) -> Action:
    """The status reply says this word as its state: unknown, repeated, or late ones."""
    return Action(do=Do.STATE, word=word)


def no_output() -> Action:
    """Success, but the place of the result's link is empty."""
    return Action(do=Do.NO_OUTPUT)


def string_output() -> Action:
    """The result's link as one string where a list is documented."""
    return Action(do=Do.STRING_OUTPUT)


def finished() -> Action:
    """At ``SUBMIT`` of Pixazo: the reply is already the status body of a finished job."""
    return Action(do=Do.FINISHED)


def finished_list() -> Action:
    """At ``SUBMIT`` of Pixazo: the reply is ``{"output": [{"url": …}]}`` and nothing else."""
    return Action(do=Do.FINISHED_LIST)


def fails(code: str, message: str | None = None) -> Action:
    """At ``RUN``: the job ends so.

    Args:
        code: Pixazo's state (``FAILED``, ``ERROR``, ``CANCELLED``), APIXO's ``failCode``, fal's error type.
        message: instead of a text for that code.
    """
    return Action(do=Do.FAILS, code=code, message=message)


def resized(scale: float = 0.5) -> Action:
    """At ``RUN``: the result is this many times as wide and high as it should be."""
    return Action(do=Do.RESIZED, scale=scale)


def ignored() -> Action:
    """At ``CANCEL``: the request is acknowledged, but the job runs to its end all the same."""
    return Action(do=Do.IGNORED)


@dataclass(frozen=True)
class Fault:
    """One rule.

    Attributes:
        stage: where.
        action: what.
        times: how often; ``None`` for ever.
        skip: how many matching requests pass unharmed before.
        model: only for this model id; requests that belong to no model (uploads) never match one.
        provider: only at this provider.
    """

    stage: Stage
    action: Action
    times: int | None = 1
    skip: int = 0
    model: str | None = None
    provider: str | None = None

    def matches(self, stage: Stage, provider: str, model: str | None) -> bool:
        """Whether a request of this stage is one of those that the rule counts."""
        return (
            stage == self.stage
            and (self.model is None or self.model == model)
            and (self.provider is None or self.provider == provider)
        )


class Faults:
    """The rules in force, oldest first; the first that matches a request is the one that strikes."""

    def __init__(self, rules: Iterable[Fault] = ()) -> None:
        self._rules = list(rules)

    def add(
        self,
        stage: Stage | str,
        action: Action,
        *,
        times: int | None = 1,
        skip: int = 0,
        model: str | None = None,
        provider: str | None = None,
    ) -> None:
        """Put one more rule in force; the arguments are those of ``Fault``."""
        self._rules.append(
            Fault(Stage(stage), action, times=times, skip=skip, model=model, provider=provider)
        )

    def extend(self, rules: Iterable[Fault]) -> None:
        """Put more rules in force."""
        self._rules.extend(rules)

    def clear(self) -> None:
        """No more faults."""
        self._rules.clear()

    @property
    def rules(self) -> tuple[Fault, ...]:
        """What is still to come."""
        return tuple(self._rules)

    def take(self, stage: Stage, provider: str, model: str | None) -> Action | None:
        """The action that strikes this request, which uses it up once, or ``None``."""
        for index, rule in enumerate(self._rules):
            if not rule.matches(stage, provider, model):
                continue
            if rule.skip:
                self._rules[index] = replace(rule, skip=rule.skip - 1)
                continue
            if rule.times is not None and rule.times <= 1:
                del self._rules[index]
            elif rule.times is not None:
                self._rules[index] = replace(rule, times=rule.times - 1)
            return rule.action
        return None
