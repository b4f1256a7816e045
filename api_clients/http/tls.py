"""Which certificates https connections are checked against."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path

import httpx

from ..environment import unquoted
from ..errors import InvalidParameter

_FILE, _FOLDER = "SSL_CERT_FILE", "SSL_CERT_DIR"
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")
"""The names under which OpenSSL looks for certificates in a folder; it passes over all others."""


def tls_context() -> ssl.SSLContext:
    """The context of every https connection.

    It trusts the certificates of ``SSL_CERT_FILE``, else those of ``SSL_CERT_DIR``, else the usual ones.

    Raises:
        InvalidParameter: the variable that counts names nothing usable; says which one and why.
    """
    file, folders = (unquoted(name, os.environ.get(name, "")) for name in (_FILE, _FOLDER))
    if file:
        return _from_file(file)
    if folders:
        return _from_folders(folders)
    return httpx.create_ssl_context(trust_env=False)


def _from_file(file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=file)
    except ssl.SSLError:
        why = "no certificates are in it"
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
    raise InvalidParameter(
        f"{_FILE} names {file}, which cannot be used: {why}.",
        hint="Set it to a file of certificates in the PEM format, or unset it.",
    )


def _from_folders(folders: str) -> ssl.SSLContext:
    if not any(_has_certificates(Path(folder)) for folder in folders.split(os.pathsep)):
        raise InvalidParameter(
            f"{_FOLDER} names {folders}, where there are no certificates under the names of their hashes.",
            hint="Set it to a folder that `openssl rehash` has prepared, or unset it.",
        )
    return ssl.create_default_context(capath=folders)


def _has_certificates(folder: Path) -> bool:
    try:
        return any(_HASHED.fullmatch(path.name) for path in folder.iterdir())
    except (OSError, ValueError):
        return False
