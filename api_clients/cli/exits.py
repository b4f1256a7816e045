"""The exit statuses of the outside contract."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import Kind, RemoteUpscaleError

DONE = 0
SOME_FAILED = 1
UNUSABLE_ARGUMENTS = 2
NOT_SET_UP = 3
INTERRUPTED = 130
TERMINATED = 143


def before_sending(error: RemoteUpscaleError) -> int:
    """The status for an error that stopped everything before anything was sent."""
    match error.kind:
        case Kind.INVALID_PARAMETER:
            return UNUSABLE_ARGUMENTS
        case Kind.AUTHENTICATION | Kind.HOSTING:
            return NOT_SET_UP
        case _:
            return SOME_FAILED


def after_all(errors: Iterable[RemoteUpscaleError | None]) -> int:
    """The status for what each input came to; ``None`` is a success."""
    kinds = {None if error is None else error.kind for error in errors}
    if kinds == {Kind.INVALID_PARAMETER}:
        return UNUSABLE_ARGUMENTS
    return DONE if kinds <= {None} else SOME_FAILED
