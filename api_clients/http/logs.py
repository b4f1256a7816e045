"""Keeping links out of logs that are not ours.

httpx logs the whole URL of every request at INFO, and a program such as ComfyUI shows that level. Signed
links and unguessable paths are secrets, and a line for every status request is noise; so our own requests are
not logged by httpx at all. ``Http`` writes a line of its own at DEBUG, with the host only.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_ours: ContextVar[bool] = ContextVar("remote_upscale_request", default=False)


def _not_ours(_record: logging.LogRecord) -> bool:
    return not _ours.get()


def silence_httpx() -> None:
    """Stop httpx from logging requests made inside ``our_request``; those of other code stay as they are."""
    logging.getLogger("httpx").addFilter(_not_ours)


@contextmanager
def our_request() -> Generator[None]:
    """Mark what runs inside as a request of ours."""
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)
