"""``remote-upscale check``: what is in order, what is missing, and how to fix it."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from .. import credentials
from ..errors import BadResponse, Kind, Meaning, RemoteUpscaleError
from ..files.scratch import scratch_place
from ..files.spliced_file import SplicedFile
from ..hosting import Hosting, require_hosting
from ..http import Http, PartialFile
from ..ledger import Ledger, month_start
from ..providers.base import Provider
from ..providers.client import ProviderClient
from ..registry import MODELS, PROVIDERS
from ..results import open_results
from ..settings import Settings, TimeLimits
from ..text import clean
from . import exits
from .interrupts import run_until_stopped
from .output import Printer, in_words, tell

_SHORT = TimeLimits(retry=3, idle=10, transfer=30)
"""Whoever checks wants to know soon, and can check again."""
_PATIENCE = 5.0
"""Seconds to wait for the ledger's database."""


@dataclass(frozen=True)
class _Finding:
    """What one thing was found to be. ``detail`` says no more than what was really tried."""

    check: str
    detail: str
    error: RemoteUpscaleError | None = None
    advice: str = ""
    """What should be done although it is in order."""

    @classmethod
    def failed(cls, check: str, error: RemoteUpscaleError) -> _Finding:
        """It is not in order."""
        return cls(check, error.message, error)

    @property
    def ok(self) -> bool:
        """Whether it is in order."""
        return self.error is None

    @property
    def word(self) -> str:
        """``missing`` for what only has to be set, ``failed`` for what is there and does not work."""
        if self.error is None:
            return "warning" if self.advice else "ok"
        return "missing" if exits.of_error(self.error) == exits.NOT_SET_UP else "failed"

    def document(self) -> dict[str, object]:
        """As a JSON object."""
        return {"check": self.check, "ok": self.ok, "detail": self.detail, "hint": self.hint}

    @property
    def hint(self) -> str:
        """What to do about it; may be empty."""
        return self.error.hint if self.error else self.advice


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    printer = Printer(json=arguments.json)
    try:
        settings = Settings.load()
    except RemoteUpscaleError as error:
        tell(str(error))
        return exits.of_error(error)
    return run_until_stopped(partial(_check, settings, printer))


async def _check(settings: Settings, printer: Printer) -> int:
    found: list[_Finding] = []
    settings = replace(settings, time=_short(settings.time))
    async with AsyncExitStack() as stack:
        if settings.sandbox:
            from ..sandbox import Sandbox  # noqa: PLC0415 (it brings an HTTP server and codecs)

            try:
                folder = scratch_place(settings.home)
            except RemoteUpscaleError as error:
                _show(printer, _Finding.failed("sandbox", error))
                return exits.of_error(error)
            sandbox = await stack.enter_async_context(Sandbox(MODELS.values(), folder=folder))
            settings = settings.in_sandbox(sandbox.roots)
        http = await stack.enter_async_context(Http(settings))
        announce = _silent if printer.json else _announce
        async for finding in _findings(settings, http, announce):
            found.append(finding)
            _show(printer, finding)
    return _status(found)


def _short(limits: TimeLimits) -> TimeLimits:
    """The limits of a check: the configured ones where those are shorter."""
    return replace(
        limits,
        retry=min(limits.retry, _SHORT.retry),
        idle=min(limits.idle, _SHORT.idle),
        transfer=min(limits.transfer, _SHORT.transfer),
    )


def _status(found: list[_Finding]) -> int:
    """Whether a job could be run: it needs one provider, hosting, the ledger and the result store."""
    errors = {finding.check: finding.error for finding in found}
    unusable = errors["network"]
    if unusable is not None:
        return exits.of_error(unusable)
    of_providers = [errors[name] for name in PROVIDERS]
    if errors["hosting"] is not None or (None not in of_providers and not any(map(_refused, of_providers))):
        return exits.NOT_SET_UP
    needed = [errors["ledger"], errors["results"], *([] if None in of_providers else of_providers)]
    return exits.DONE if not any(needed) else exits.SOME_FAILED


def _refused(error: RemoteUpscaleError | None) -> bool:
    """Whether there is a key, but it did not work."""
    return error is not None and (
        error.kind is not Kind.AUTHENTICATION or error.meaning is not Meaning.NOT_SENT
    )


def _show(printer: Printer, finding: _Finding) -> None:
    if printer.json:
        printer.document(finding.document())
        return
    printer.line(f"{finding.word:8} {finding.check:8} {clean(finding.detail)}")
    if finding.hint:
        printer.line(f"{'':17} {clean(finding.hint)}")


def _announce(what: str) -> None:
    tell(f"Checking {what} …")


def _silent(_what: str) -> None:
    pass


async def _findings(
    settings: Settings, http: Http, announce: Callable[[str], None]
) -> AsyncIterator[_Finding]:
    """What is found, one thing after another; what may take a while is announced before."""
    if settings.sandbox:
        yield _Finding("sandbox", "On: every provider is answered by the embedded sandbox.")
    else:
        yield _Finding("sandbox", "Off: jobs go to the real providers.")
    announce("the ledger")
    yield await asyncio.to_thread(_ledger, settings)
    announce("the result store")
    yield await _results(settings)
    network = await _network(settings, http)
    yield network
    if not network.ok:
        return
    exposed = settings.home / credentials.FILE
    if await asyncio.to_thread(credentials.exposed, exposed):
        yield _Finding(
            "keys",
            f"{exposed} can be read by others, and cannot be changed from here.",
            advice="Mount it so that only this user can read it, if that can be.",
        )
    for provider in PROVIDERS.values():
        announce(provider.title)
        yield await _key(provider, settings, http)
    announce("hosting")
    yield await _hosting(settings, http)


async def _network(settings: Settings, http: Http) -> _Finding:
    """Only what is needed is judged: the addresses of the providers that there are keys for."""
    if settings.sandbox:
        return _Finding("network", "Not needed in the sandbox.")
    kinds = [kind for name, kind in PROVIDERS.items() if name in settings.keys]
    clients = [ProviderClient(settings.provider(kind), settings, http) for kind in kinds]
    try:
        http.check_certificates()
        for client in clients:
            await client.check_names()
        proxies = {http.proxy_of(client.provider.root) or "" for client in clients}
    except RemoteUpscaleError as error:
        return _Finding.failed("network", error)
    if not proxies:
        return _Finding("network", "Not needed yet.")
    ways = " and ".join(f"the proxy {proxy}" if proxy else "no proxy" for proxy in sorted(proxies))
    return _Finding("network", f"Providers are reached through {ways}.")


def _ledger(settings: Settings) -> _Finding:
    try:
        ledger = Ledger(settings.ledger_place, patience=_PATIENCE)
        try:
            ledger.check()
            spent = ledger.spent(month_start())
        finally:
            ledger.close()
    except RemoteUpscaleError as error:
        return _Finding.failed("ledger", error)
    cap = "no budget is set" if settings.budget is None else f"the budget is ${settings.budget:f}"
    title = ledger.database.title
    return _Finding("ledger", f"{title} can be written. This month: {in_words(spent)} spent; {cap}.")


async def _results(settings: Settings) -> _Finding:
    try:
        results = open_results(settings)
        await results.check(settings.home)
    except RemoteUpscaleError as error:
        return _Finding.failed("results", error)
    return _Finding("results", f"{results.place} can be written and read.")


async def _key(kind: type[Provider], settings: Settings, http: Http) -> _Finding:
    provider = settings.provider(kind)
    client = ProviderClient(provider, settings, http)
    try:
        client.require_key()
        request = provider.balance()
        if request is None:
            return _Finding(kind.name, "There is a key. The provider has no free request that would test it.")
        answer = await client.ask(request, provider.read_balance)
    except RemoteUpscaleError as error:
        return _Finding.failed(kind.name, error)
    return _Finding(kind.name, f"There is a key. A free request shows: {answer.value}.")


async def _hosting(settings: Settings, http: Http) -> _Finding:
    """Upload a tiny picture and fetch it back, as a provider would."""
    try:
        require_hosting(settings)
        with TemporaryDirectory(dir=scratch_place(settings.home)) as folder:
            await _there_and_back(Path(folder), Hosting(settings, http), http)
    except RemoteUpscaleError as error:
        return _Finding.failed("hosting", error)
    return _Finding("hosting", "A test picture was uploaded and fetched back.")


async def _there_and_back(folder: Path, hosting: Hosting, http: Http) -> None:
    from PIL import Image  # noqa: PLC0415 (nothing before it needs a codec)

    sent = folder / "sent.png"
    Image.new("RGB", (8, 8)).save(sent)
    source = SplicedFile.whole(sent)
    hosted = await hosting.host(
        source, name_suffix=".png", media_type="image/png", digest=source.sha256(), valid_for=300
    )
    with PartialFile.open(folder / "back.png") as partial:
        await http.download(hosted.url, partial, max_bytes=source.size)
        same = partial.sha256() == source.sha256()
    if not same:
        raise BadResponse(
            "What was uploaded came back changed.", hint="Choose another REMOTE_UPSCALE_HOSTING."
        )
