"""What the user configures: the environment, then ``settings.toml`` in the home folder, then defaults."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from . import credentials, redaction
from .environment import home_folder, without_quotes
from .errors import InvalidParameter, RemoteUpscaleError
from .parameters import Value, either, yes_or_no
from .prices import Price
from .providers.base import Provider
from .registry import PROVIDERS
from .roots import Roots
from .settings_file import (
    read_at_once,
    read_budget,
    read_dollars,
    read_limits,
    read_network,
    read_options,
    read_prices,
    read_settings_file,
)

SANDBOX_KEY = "sandbox"
"""What the sandbox takes as the key of every provider. It is no secret, and stays legible."""

_P = TypeVar("_P", bound=Provider)


class Secret:
    """A string that shows itself only when asked by name, so that it cannot slip into a log or an error."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The string itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, kw_only=True)
class TimeLimits:
    """Seconds after which we stop waiting. A job that runs out of time stays resumable.

    Attributes:
        queue: from the submit until the provider begins.
        run: from there until it is done; long videos take long.
        transfer: for one upload or one download as a whole.
        idle: for one read or connect on a socket.
        retry: in total, for trying again after failures that pass.
        cancel: for telling the provider that a job is not wanted any more.
    """

    queue: float = 1800
    run: float = 7200
    transfer: float = 3600
    idle: float = 60
    retry: float = 120
    cancel: float = 5


@dataclass(frozen=True, kw_only=True)
class SizeLimits:
    """What a provider may hand back before we refuse it, and what we keep.

    Attributes:
        result_bytes: largest result file.
        reply_bytes: largest reply to an API call; results sent inline (``sync_mode``) count too.
        pixels: most pixels of a picture, or of one frame, that will be decoded.
        store_bytes: what stored results may take together; beyond that the longest unused are removed.
    """

    result_bytes: int = 20 * 1024**3
    reply_bytes: int = 512 * 1024**2
    pixels: int = 600_000_000
    store_bytes: int = 20 * 1024**3


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything configurable, immutable.

    Attributes:
        home: folder of the ledger and of everything else that outlives a run.
        keys: API key of each provider that has one, by provider name.
        hosting: ``auto``, ``fal``, ``object-store`` or ``url``.
        bucket_url: object store for inputs, such as ``s3://bucket/prefix``.
        ledger_url: database of the ledger, which may hold a password; ``None`` is a file in ``home``.
        results_url: object store for results, like ``bucket_url``; ``None`` is a folder in ``home``.
        budget: most US dollars to spend in a calendar month; ``None`` is without limit.
        unpriced: ids of models that may be used under a budget although nobody knows what they cost.
        prices: prices that the user gave, by model id.
        sandbox: answer every provider by the embedded sandbox.
        at_once: most jobs in flight with each key, over all processes that share the ledger.
        names_may_lead_to: ranges of private addresses that the names in links may lead to.
        poll_floor: seconds between two status requests of one job, at least.
    """

    home: Path
    roots: Roots = field(default_factory=Roots)
    keys: Mapping[str, Secret] = field(default_factory=dict[str, Secret])
    options: Mapping[str, Mapping[str, Value]] = field(default_factory=dict[str, Mapping[str, Value]])
    hosting: str = "auto"
    bucket_url: str | None = None
    ledger_url: Secret | None = None
    results_url: str | None = None
    budget: Decimal | None = None
    unpriced: frozenset[str] = frozenset()
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])
    sandbox: bool = False
    time: TimeLimits = field(default_factory=TimeLimits)
    size: SizeLimits = field(default_factory=SizeLimits)
    at_once: int = 32
    names_may_lead_to: tuple[IPv4Network | IPv6Network, ...] = ()
    poll_floor: float = 1.0

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        home: Path | None = None,
        account: str = "",
        needs_keys: bool = True,
        providers: Iterable[type[Provider]] = tuple(PROVIDERS.values()),
    ) -> Settings:
        """Read the environment, ``settings.toml`` and ``credentials.toml``.

        A named account has the keys of ``credentials.toml`` and no others. Without a name, keys of the
        environment come first, then those of the account ``default``. Every secret that is read is from then
        on left out of what this process shows, logs and stores.

        Args:
            environ: instead of the process's environment.
            home: the home folder where ``REMOTE_UPSCALE_HOME`` does not name one.
            account: whose keys are used.
            needs_keys: refuse a ``credentials.toml`` that cannot be used, instead of doing without it.
            providers: those whose keys, roots and options are read.

        Raises:
            AuthenticationFailed: there is no such account, or others can read the file of the keys.
            InvalidParameter: a variable or a line of the file is unusable, or there is no home folder; says
                which and why.
        """
        env = os.environ if environ is None else environ
        known = tuple(providers)
        env = without_quotes(env, {provider.key_variable for provider in known})
        redaction.hide_environment(env)
        folder = home_folder(env.get("REMOTE_UPSCALE_HOME", ""), home)
        settings = cls(
            home=folder,
            roots=_roots(env, known),
            keys=_keys(env, folder / credentials.FILE, account, known, needed=needs_keys),
            hosting=_hosting(env.get("REMOTE_UPSCALE_HOSTING") or "auto"),
            bucket_url=env.get("REMOTE_UPSCALE_BUCKET_URL") or None,
            ledger_url=Secret(ledger) if (ledger := env.get("REMOTE_UPSCALE_LEDGER_URL")) else None,
            results_url=env.get("REMOTE_UPSCALE_RESULTS_URL") or None,
            sandbox=_switch("REMOTE_UPSCALE_SANDBOX", env),
        )
        settings = _with_file(settings, read_settings_file(settings.home / "settings.toml"), known)
        cap = env.get("REMOTE_UPSCALE_BUDGET_USD", "").strip()
        return replace(settings, budget=read_dollars("REMOTE_UPSCALE_BUDGET_USD", cap)) if cap else settings

    @property
    def ledger_place(self) -> Path | str:
        """Where the ledger is: a file, or a database's URL."""
        return self.ledger_url.reveal() if self.ledger_url else self.home / "ledger.sqlite"

    def provider(self, kind: type[_P]) -> _P:
        """A provider with these settings' roots and options."""
        return kind(self.roots, self.options.get(kind.name))

    def in_sandbox(
        self, roots: Roots, providers: Iterable[type[Provider]] = tuple(PROVIDERS.values())
    ) -> Settings:
        """The same, with every provider and the hosting of inputs answered by the sandbox at ``roots``.

        A sandbox has its ledger and its results below the home folder, and touches nothing else: no
        database, no object store, and no ledger of real jobs.
        """
        return replace(
            self,
            home=self.home / "sandbox",
            roots=roots,
            keys={provider.name: Secret(SANDBOX_KEY) for provider in providers},
            hosting="fal",
            bucket_url=None,
            ledger_url=None,
            results_url=None,
            sandbox=True,
        )


_HOSTING_WAYS = ("auto", "fal", "object-store", "url")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _keys(
    env: Mapping[str, str], path: Path, account: str, providers: tuple[type[Provider], ...], *, needed: bool
) -> dict[str, Secret]:
    accounts: Mapping[str, Mapping[str, str]] = {}
    try:
        accounts = credentials.read_credentials(path, tuple(provider.name for provider in providers))
    except RemoteUpscaleError:
        if needed:
            raise
    named = {provider.name: env.get(provider.key_variable, "").strip() for provider in providers}
    named = {name: key for name, key in named.items() if key}
    for keys in (named, *accounts.values()):  # an account that is not used now may be by another run
        for key in keys.values():
            if key != SANDBOX_KEY:
                redaction.hide(key)
    if account:
        keys = credentials.keys_of(accounts, account, path)
    else:
        keys = {**accounts.get(credentials.DEFAULT, {}), **named}
    return {name: Secret(key) for name, key in keys.items()}


def _roots(env: Mapping[str, str], providers: tuple[type[Provider], ...]) -> Roots:
    declared = [root for provider in providers for root in provider.roots]
    return Roots(
        **{root.name: _root(root.variable, env[root.variable]) for root in declared if env.get(root.variable)}
    )


def _switch(variable: str, env: Mapping[str, str]) -> bool:
    text = env.get(variable, "").strip()
    on = yes_or_no(text) if text else False
    if on is None:
        raise InvalidParameter(
            f"{variable} is {text[:80]}, but it must be 1, true, yes or on; 0, false, no or off; or empty."
        )
    return on


def _root(variable: str, url: str) -> str:
    """A provider's root: https, because the key is sent there; http only on this very machine."""
    try:
        parts = urlsplit(url.strip())
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    plain = parts.scheme == "http" and host in _LOOPBACK
    if not host or not (parts.scheme == "https" or plain) or parts.query or parts.username:
        raise InvalidParameter(
            f"{variable} is not a usable address.",
            hint="It must be https://host/path (http only for 127.0.0.1, ::1 or localhost).",
        )
    return url.strip().rstrip("/")


def _hosting(way: str) -> str:
    if way not in _HOSTING_WAYS:
        raise InvalidParameter(
            f"REMOTE_UPSCALE_HOSTING is {way[:80]}, but it must be {either(list(_HOSTING_WAYS))}."
        )
    return way


def _with_file(settings: Settings, table: dict[str, Any], providers: tuple[type[Provider], ...]) -> Settings:
    """Apply the contents of ``settings.toml``."""
    budget, unpriced = read_budget(table.pop("budget", {}))
    settings = replace(
        settings,
        time=read_limits(settings.time, "time", table.pop("time", {})),
        size=read_limits(settings.size, "size", table.pop("size", {})),
        at_once=read_at_once(table.pop("at_once", settings.at_once)),
        prices=read_prices(table.pop("prices", {})),
        names_may_lead_to=read_network(table.pop("network", {})),
        options={
            provider.name: read_options(provider.name, provider.options, table.pop(provider.name))
            for provider in providers
            if provider.options and provider.name in table
        },
        budget=budget,
        unpriced=unpriced,
    )
    if table:
        raise InvalidParameter(f"settings.toml: {next(iter(table))} is not a setting.")
    return settings
