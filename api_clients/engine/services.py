"""What jobs are run with; made once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..files.scratch import scratch_place
from ..hosting import Hosting
from ..http import Http
from ..ledger import Ledger
from ..ledger.threaded import AsyncLedger
from ..locks import FileLock
from ..models import Model
from ..providers.base import Provider
from ..providers.client import ProviderClient
from ..registry import find_model
from ..results import open_results
from ..results.cache import ResultCache
from ..settings import Settings

if TYPE_CHECKING:
    from .waiting import WaitStrategy


@dataclass(frozen=True, kw_only=True)
class Services:
    """What jobs are run with.

    Attributes:
        settings: what the user configured, or the same in the sandbox.
        models: the upscalers there are, by id.
        clients: the providers there are, by name.
        http: sends requests to links that are not a provider's own.
        ledger: every job, written ahead.
        cache: the results of jobs that are done.
        hosting: puts inputs where a provider can fetch them.
        strategies: say when to look at a job that is being waited for.
        driven: ids of the jobs that this process is at.
    """

    settings: Settings
    models: Mapping[str, Model]
    clients: Mapping[str, ProviderClient]
    http: Http
    ledger: AsyncLedger
    cache: ResultCache
    hosting: Hosting
    strategies: tuple[WaitStrategy, ...]
    driven: set[str] = field(default_factory=set[str])

    def client(self, model: Model) -> ProviderClient:
        """The provider of a model."""
        return self.clients[model.provider]

    @property
    def partials(self) -> Path:
        """The folder of results that are being downloaded; another process can go on with one."""
        return self.settings.home / "partial"

    @contextmanager
    def driving(self, job: str) -> Generator[None]:
        """Register a job as driven by this process; to be entered before the ledger says so."""
        self.driven.add(job)
        try:
            yield
        finally:
            self.driven.discard(job)


@asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    models: Mapping[str, Model],
    providers: Mapping[str, type[Provider]],
    strategies: tuple[WaitStrategy, ...],
) -> AsyncGenerator[Services]:
    """Open the ledger, the stores and the connections, and close them in the end.

    Raises:
        InvalidParameter: the settings name a model that there is not, or an address that is none.
        StorageFailed: the ledger cannot be used.
    """
    # A model that is misspelt in the settings would be priced, or let pass, by nobody.
    for name in [*settings.prices, *settings.unpriced]:
        find_model(name, models)
    async with AsyncExitStack() as stack:
        if settings.sandbox:
            settings = await _in_sandbox(settings, models, stack)
        ledger = AsyncLedger(await asyncio.to_thread(Ledger, settings.ledger_place))
        stack.push_async_callback(ledger.close)
        for folder in (settings.home / "partial", settings.home / "hosting"):
            await asyncio.to_thread(FileLock.remove_left_behind, folder)
        http = await stack.enter_async_context(Http(settings))
        yield Services(
            settings=settings,
            models=models,
            clients={
                name: ProviderClient(settings.provider(kind), settings, http)
                for name, kind in providers.items()
            },
            http=http,
            ledger=ledger,
            cache=ResultCache(open_results(settings), ledger, settings.size.store_bytes),
            hosting=Hosting(settings, http),
            strategies=strategies,
        )


async def _in_sandbox(settings: Settings, models: Mapping[str, Model], stack: AsyncExitStack) -> Settings:
    # Imported here: it brings an HTTP server and codecs that nothing else needs.
    from ..sandbox import Sandbox  # noqa: PLC0415

    folder = await asyncio.to_thread(scratch_place, settings.home)
    sandbox = await stack.enter_async_context(Sandbox(models.values(), folder=folder))
    return settings.in_sandbox(sandbox.roots)
