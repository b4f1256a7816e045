"""What fal's storage answers when it does not take a file."""

from __future__ import annotations

from ..errors import AuthenticationFailed, Forbidden, HostingFailed, InsufficientBalance, RemoteUpscaleError
from ..http_messages import Reply
from ..json_values import as_text
from ..providers.fal import Fal
from ..roots import Roots
from .hosted import failed


class Refused(HostingFailed):
    """This way of uploading is refused, for a reason that may not hold for another way."""


def check(reply: Reply) -> Reply:
    """The reply, if it is not an error.

    Raises:
        AuthenticationFailed, InsufficientBalance, Forbidden: of the key and its account.
        HostingFailed: that says ``TRY_AGAIN`` where it may work a little later.
        Refused: another way of uploading may work.
    """
    if 200 <= reply.status < 300:
        return reply
    error = Fal(Roots()).read_error(reply)
    if isinstance(error, (AuthenticationFailed, InsufficientBalance, Forbidden)):
        raise error
    message = f"fal's storage does not take the input (HTTP {reply.status})."
    if reply.status in (408, 425, 429) or reply.status >= 500:
        raise failed(
            message, "Run it again later; nothing was charged.", passes=True, retry_after=reply.retry_after
        )
    raise Refused(message, hint="Host it in an object store: REMOTE_UPSCALE_BUCKET_URL.")


def text(reply: Reply, name: str) -> str:
    """A string of the reply.

    Raises:
        Refused: it is not there.
    """
    found = as_text(reply.object_or_empty().get(name))
    if found is None:
        raise Refused(
            f"fal's storage answered without {name}.",
            hint="Host the input in an object store: REMOTE_UPSCALE_BUCKET_URL.",
        )
    return found


def as_hosting(error: RemoteUpscaleError) -> HostingFailed:
    """A failure on the way to fal's storage, as one of hosting."""
    return failed(
        f"The input could not be uploaded to fal. {error.message}",
        error.hint,
        passes=error.meaning.retryable,
        retry_after=error.retry_after,
    )
