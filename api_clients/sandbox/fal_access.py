"""Who may use fal: the same for its queue, its storage and its list of requests."""

from __future__ import annotations

from aiohttp import web

from . import fal_errors
from .context import Context
from .replies import Reply


def locked_out(context: Context, request: web.Request) -> Reply | None:
    """The refusal of a missing or wrong key."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return None if scheme == "Key" and context.accepts("fal", key.strip()) else fal_errors.error(401)
