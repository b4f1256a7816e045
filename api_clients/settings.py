"""What the user configures: the environment, then ``settings.toml`` in the home folder, then defaults."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import platformdirs

from .errors import InvalidParameter

PRODUCT = "remote-upscale"


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


@dataclass(frozen=True, kw_only=True)
class Roots:
    """Where the providers are. No trailing slash."""

    pixazo: str = "https://gateway.pixazo.ai"
    apixo: str = "https://api.apixo.ai/api/v1"
    fal_queue: str = "https://queue.fal.run"
    fal_rest: str = "https://rest.fal.ai"
    fal_cdn: str = "https://v3.fal.media"

    def all(self) -> tuple[str, ...]:
        """Every root, for the guard that decides which loopback links may be followed."""
        return tuple(getattr(self, spec.name) for spec in fields(self))


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
    """What a provider may hand back before we refuse it.

    Attributes:
        result_bytes: largest result file.
        reply_bytes: largest reply to an API call; results sent inline (``sync_mode``) count too.
        pixels: most pixels of a picture, or of one frame, that will be decoded.
    """

    result_bytes: int = 20 * 1024**3
    reply_bytes: int = 512 * 1024**2
    pixels: int = 600_000_000


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything configurable, immutable.

    Attributes:
        home: folder of the ledger and of everything else that outlives a run.
        keys: API key of each provider that has one, by provider name.
        hosting: ``auto``, ``fal``, ``object-store`` or ``url``.
        bucket_url: object store for inputs, such as ``s3://bucket/prefix``.
        sandbox: answer every provider by the embedded sandbox.
        at_once: most jobs in flight at each provider.
        poll_floor: seconds between two status requests of one job, at least.
    """

    home: Path
    roots: Roots = field(default_factory=Roots)
    keys: Mapping[str, Secret] = field(default_factory=dict[str, Secret])
    hosting: str = "auto"
    bucket_url: str | None = None
    sandbox: bool = False
    time: TimeLimits = field(default_factory=TimeLimits)
    size: SizeLimits = field(default_factory=SizeLimits)
    at_once: int = 32
    poll_floor: float = 1.0

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, *, home: Path | None = None) -> Settings:
        """Read the environment and ``settings.toml``.

        Args:
            environ: instead of the process's environment.
            home: the home folder where ``REMOTE_UPSCALE_HOME`` does not name one.

        Raises:
            InvalidParameter: a variable or a line of the file is unusable; says which and why.
        """
        env = os.environ if environ is None else environ
        named = env.get("REMOTE_UPSCALE_HOME")
        folder = Path(named).expanduser() if named else home or platformdirs.user_data_path(PRODUCT, False)
        settings = cls(
            home=folder.absolute(),
            roots=_roots(env),
            keys={
                name: Secret(env[variable].strip())
                for name, variable in KEY_VARIABLES.items()
                if env.get(variable, "").strip()
            },
            hosting=_hosting(env.get("REMOTE_UPSCALE_HOSTING") or "auto"),
            bucket_url=env.get("REMOTE_UPSCALE_BUCKET_URL") or None,
            sandbox=env.get("REMOTE_UPSCALE_SANDBOX", "").strip() not in ("", "0"),
        )
        return _with_file(settings, settings.home / "settings.toml")

    def in_sandbox(self, roots: Roots) -> Settings:
        """The same, with every provider and the hosting of inputs answered by the sandbox at ``roots``."""
        keys = {name: Secret("sandbox") for name in KEY_VARIABLES}
        return replace(self, roots=roots, keys=keys, hosting="fal", bucket_url=None, sandbox=True)


KEY_VARIABLES = {"pixazo": "PIXAZO_API_KEY", "apixo": "APIXO_API_KEY", "fal": "FAL_KEY"}
"""The environment variable of each provider's key."""

_ROOT_VARIABLES = {
    "pixazo": "REMOTE_UPSCALE_PIXAZO_URL",
    "apixo": "REMOTE_UPSCALE_APIXO_URL",
    "fal_queue": "REMOTE_UPSCALE_FAL_QUEUE_URL",
    "fal_rest": "REMOTE_UPSCALE_FAL_REST_URL",
    "fal_cdn": "REMOTE_UPSCALE_FAL_CDN_URL",
}
_HOSTING_WAYS = ("auto", "fal", "object-store", "url")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _roots(env: Mapping[str, str]) -> Roots:
    return Roots(
        **{
            name: _root(variable, env[variable])
            for name, variable in _ROOT_VARIABLES.items()
            if env.get(variable)
        }
    )


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
            f"REMOTE_UPSCALE_HOSTING is {way[:80]}, but it must be one of {', '.join(_HOSTING_WAYS)}."
        )
    return way


def _with_file(settings: Settings, path: Path) -> Settings:
    """Apply ``settings.toml``: ``at_once`` and the tables ``[time]`` (seconds) and ``[size]``."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return settings
    except (OSError, ValueError) as error:
        raise InvalidParameter(f"{path} cannot be read: {error}.") from None
    time = _override(settings.time, table.pop("time", {}), path)
    size = _override(settings.size, table.pop("size", {}), path)
    at_once = table.pop("at_once", settings.at_once)
    if table or type(at_once) is not int or at_once < 1:
        wrong = next(iter(table), "at_once")
        raise InvalidParameter(f"{path}: {wrong} is not a setting, or its value is not usable.")
    return replace(settings, time=time, size=size, at_once=at_once)


_L = TypeVar("_L", TimeLimits, SizeLimits)


def _override(limits: _L, table: object, path: Path) -> _L:
    known = {spec.name for spec in fields(limits)}
    if not isinstance(table, dict):
        raise InvalidParameter(
            f"{path}: time and size are tables; write [time] or [size] on a line of its own."
        )
    values = cast("dict[str, Any]", table)
    for name, value in values.items():
        if name not in known:
            raise InvalidParameter(f"{path}: {name} is not one of {', '.join(sorted(known))}.")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise InvalidParameter(f"{path}: {name} must be a number above 0.")
    whole = isinstance(limits, SizeLimits)  # bytes and pixels
    return replace(limits, **{name: int(value) if whole else value for name, value in values.items()})
