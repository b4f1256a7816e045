"""What a provider's protocol in the sandbox is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from aiohttp import web

from .context import Context
from .exchange import Route
from .jobs import Outcomes


class Protocol(Outcomes):
    """The addresses of one provider, and how it says what becomes of a job.

    Attributes:
        paths: for each root that the provider declares, where it is below the sandbox's own address.
    """

    paths: ClassVar[Mapping[str, str]]

    def __init__(self, context: Context) -> None:
        self._context = context

    @abstractmethod
    def routes(self) -> list[Route]:
        """The addresses that it answers; those that match anything come last."""

    def add_pages(self, router: web.UrlDispatcher) -> None:
        """Add what is served to everybody, where there is such a thing."""
