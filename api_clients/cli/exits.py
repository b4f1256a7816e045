"""The exit statuses of the outside contract."""

from __future__ import annotations

from collections.abc import Collection

from ..errors import Kind, Meaning, RemoteUpscaleError

DONE = 0
SOME_FAILED = 1
UNUSABLE_ARGUMENTS = 2
NOT_SET_UP = 3
INTERRUPTED = 130
TERMINATED = 143


def of_error(error: RemoteUpscaleError) -> int:
    """The status for an error that ended everything.

    Only where nothing was sent, not even an upload, can the arguments or the setup be to blame: what a
    provider refused is a failed input, whatever its kind.
    """
    if error.meaning is not Meaning.NOT_SENT:
        return SOME_FAILED
    match error.kind:
        case Kind.INVALID_PARAMETER:
            return UNUSABLE_ARGUMENTS
        case Kind.AUTHENTICATION | Kind.HOSTING:
            return NOT_SET_UP
        case _:
            return SOME_FAILED


def of_inputs(errors: Collection[RemoteUpscaleError | None]) -> int:
    """The status for what each input came to; ``None`` is a success."""
    statuses = {DONE if error is None else of_error(error) for error in errors}
    if statuses == {UNUSABLE_ARGUMENTS}:
        return UNUSABLE_ARGUMENTS
    return DONE if statuses <= {DONE} else SOME_FAILED
