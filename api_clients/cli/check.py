"""``remote-upscale check``: what is in order, what is missing, and how to fix it."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from ..engine.channel import Channel, require_key
from ..errors import BadResponse, RemoteUpscaleError
from ..files.spliced_file import SplicedFile
from ..hosting import Hosting, require_hosting
from ..http import Http, PartialFile
from ..ledger import Ledger, month_start
from ..providers.base import Provider
from ..registry import MODELS, PROVIDERS
from ..results import open_results
from ..sandbox import Sandbox
from ..settings import Settings
from ..text import clean
from . import exits
from .interrupts import run_until_stopped
from .output import Printer, in_words, tell


@dataclass(frozen=True)
class _Finding:
    """What one thing was found to be. ``detail`` says no more than what was really tried."""

    check: str
    ok: bool
    detail: str
    hint: str = ""


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    printer = Printer(json=arguments.json)
    try:
        settings = Settings.load()
    except RemoteUpscaleError as error:
        tell(str(error))
        return exits.before_sending(error)
    return run_until_stopped(partial(_check, settings, printer))


async def _check(settings: Settings, printer: Printer) -> int:
    found: list[_Finding] = []
    async with AsyncExitStack() as stack:
        if settings.sandbox:
            sandbox = await stack.enter_async_context(Sandbox(MODELS.values()))
            settings = settings.in_sandbox(sandbox.roots)
        http = await stack.enter_async_context(Http(settings))
        async for finding in _findings(settings, http):
            found.append(finding)
            _show(printer, finding)
    usable = {finding.check for finding in found if finding.ok}
    return (
        exits.DONE
        if {"ledger", "results", "hosting"} <= usable and usable & set(PROVIDERS)
        else exits.NOT_SET_UP
    )


def _show(printer: Printer, finding: _Finding) -> None:
    if printer.json:
        printer.document(asdict(finding))
        return
    printer.line(f"{'ok' if finding.ok else 'missing':8} {finding.check:8} {clean(finding.detail)}")
    if finding.hint:
        printer.line(f"{'':17} {clean(finding.hint)}")


async def _findings(settings: Settings, http: Http) -> AsyncIterator[_Finding]:
    if settings.sandbox:
        yield _Finding("sandbox", ok=True, detail="On: every provider is answered by the embedded sandbox.")
    else:
        yield _Finding("sandbox", ok=True, detail="Off: jobs go to the real providers.")
    yield await asyncio.to_thread(_ledger, settings)
    yield await _results(settings)
    for provider in PROVIDERS.values():
        yield await _key(provider, settings, http)
    yield await _hosting(settings, http)


def _ledger(settings: Settings) -> _Finding:
    try:
        ledger = Ledger(settings.ledger_place)
        try:
            spent = ledger.spent(month_start())
        finally:
            ledger.close()
    except RemoteUpscaleError as error:
        return _Finding("ledger", ok=False, detail=error.message, hint=error.hint)
    cap = "no budget is set" if settings.budget is None else f"the budget is ${settings.budget:f}"
    title = ledger.database.title
    return _Finding(
        "ledger", ok=True, detail=f"{title} can be written. This month: {in_words(spent)} spent; {cap}."
    )


async def _results(settings: Settings) -> _Finding:
    try:
        results = open_results(settings)
        await results.check()
    except RemoteUpscaleError as error:
        return _Finding("results", ok=False, detail=error.message, hint=error.hint)
    return _Finding("results", ok=True, detail=f"{results.place} can be written and read.")


async def _key(kind: type[Provider], settings: Settings, http: Http) -> _Finding:
    provider = kind(settings.roots)
    try:
        require_key(provider, settings)
        request = provider.balance()
        if request is None:
            detail = "There is a key. The provider has no free request that would show whether it works."
        else:
            reply = await Channel(provider, settings, http).call(request)
            detail = f"There is a key. Asked, at no cost: {provider.read_balance(reply)}."
    except RemoteUpscaleError as error:
        return _Finding(provider.name, ok=False, detail=error.message, hint=error.hint)
    return _Finding(provider.name, ok=True, detail=detail)


async def _hosting(settings: Settings, http: Http) -> _Finding:
    """Upload a tiny picture and fetch it back, as a provider would."""
    try:
        require_hosting(settings)
        with TemporaryDirectory() as folder:
            await _there_and_back(Path(folder), Hosting(settings, http), http)
    except RemoteUpscaleError as error:
        return _Finding("hosting", ok=False, detail=error.message, hint=error.hint)
    return _Finding("hosting", ok=True, detail="A test picture was uploaded and fetched back.")


async def _there_and_back(folder: Path, hosting: Hosting, http: Http) -> None:
    sent, back = folder / "sent.png", folder / "back.png"
    Image.new("RGB", (8, 8)).save(sent)
    segments = SplicedFile.whole(sent)
    hosted = await hosting.host(
        segments, name_suffix=".png", media_type="image/png", digest=segments.sha256(), valid_for=300
    )
    with PartialFile.open(back) as partial:
        await http.download(hosted.url, partial, max_bytes=segments.size)
        same = partial.sha256() == segments.sha256()
    if not same:
        raise BadResponse(
            "What was uploaded came back changed.", hint="Choose another REMOTE_UPSCALE_HOSTING."
        )
