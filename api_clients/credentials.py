"""Keys in a file: several named accounts, readable by nobody else."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from .errors import AuthenticationFailed, InvalidParameter
from .toml_files import NotText, parse_toml

FILE = "credentials.toml"
DEFAULT = "default"
"""The account that is used where none is named."""

_FORM = f'In {FILE} an account is written as [studio], with a line such as fal = "…" for each provider.'


def read_credentials(path: Path, providers: tuple[str, ...]) -> Mapping[str, Mapping[str, str]]:
    """Keys by account and provider; nothing where there is no file.

    Args:
        path: the file.
        providers: the names that may stand there.

    Raises:
        AuthenticationFailed: others can read the file, and its owner could change that (not looked at on
            Windows).
        InvalidParameter: it is not written as it should be. What stands in it is never part of the message.
    """
    try:
        with path.open("rb") as file:
            if _is_exposed(file.fileno()) and not _is_fixed(file.fileno()):
                raise AuthenticationFailed(
                    f"{path} can be read by other users of this machine.",
                    hint=f"Run: chmod 600 {path} "
                    "(on a drive without permissions, set the keys as variables instead).",
                )
            table = cast("dict[str, object]", parse_toml(file.read()))
    except FileNotFoundError:
        return {}
    except NotText as error:
        raise InvalidParameter(f"{path} cannot be read: {error}.", hint=_FORM) from None
    except (OSError, tomllib.TOMLDecodeError) as error:
        # A parser's message may quote the line, and with it the key.
        raise InvalidParameter(f"{path} cannot be read ({type(error).__name__}).", hint=_FORM) from None
    return {name: _account(name, keys, providers) for name, keys in table.items()}


def exposed(path: Path) -> bool:
    """Whether others can read the file, or its group can. One that is not there is not exposed."""
    try:
        with path.open("rb") as file:
            return _is_exposed(file.fileno())
    except OSError:
        return False


def keys_of(accounts: Mapping[str, Mapping[str, str]], name: str, path: Path) -> Mapping[str, str]:
    """The keys of a named account.

    Raises:
        AuthenticationFailed: there is no such account.
    """
    if name not in accounts:
        known = f", only {', '.join(sorted(accounts))}" if accounts else ""
        raise AuthenticationFailed(f"There is no account {name[:80]} in {path}{known}.", hint=_FORM)
    return accounts[name]


def _is_exposed(file: int) -> bool:
    """Whether others than its owner may do anything with an open file."""
    return os.name == "posix" and bool(stat.S_IMODE(os.fstat(file).st_mode) & 0o077)


def _is_fixed(file: int) -> bool:
    """Whether this user could not change that, as with the secrets that Docker and Kubernetes mount."""
    status = os.fstat(file)
    somebody_elses = status.st_uid != os.geteuid() and not status.st_mode & 0o222
    return somebody_elses or bool(os.fstatvfs(file).f_flag & os.ST_RDONLY)


def _account(name: str, keys: object, providers: tuple[str, ...]) -> Mapping[str, str]:
    if not isinstance(keys, dict):
        raise InvalidParameter(f"In {FILE}, {name[:80]} is no account.", hint=_FORM)
    account: dict[str, str] = {}
    for provider, key in cast("dict[str, object]", keys).items():
        if provider not in providers or not isinstance(key, str) or not key.strip():
            raise InvalidParameter(
                f"In {FILE}, a line of the account {name[:80]} is not usable.",
                hint=f"Each line is one of {', '.join(providers)}, with its key in quotes.",
            )
        account[provider] = key.strip()
    return account
