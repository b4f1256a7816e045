"""Inputs that are public URLs already: checked, then handed to the provider as they are."""

from __future__ import annotations

from ..errors import BadResponse, InvalidParameter
from ..http.guard import check_link
from ..roots import Roots


def check_public_url(url: str, roots: Roots) -> None:
    """Refuse an address that a provider could not or should not fetch.

    Args:
        url: must be https, on a public name or address, and without user name and password.
        roots: for the exception: the host and port of a configured loopback root.

    Raises:
        InvalidParameter: it cannot be used as an input. Nothing was sent.
    """
    try:
        check_link(url, roots.all())
    except BadResponse:
        raise InvalidParameter(
            "The input's address cannot be used.",
            hint="It must be https://host/… on a public host, without a user name; or give a file instead.",
        ) from None
