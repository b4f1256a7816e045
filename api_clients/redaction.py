"""Keeping secrets out of whatever is shown, logged or stored.

Every secret that this process knows is registered once, with ``hide``. ``redact`` takes all of them out of a
text: whole, in pieces of ``PIECE`` characters and more, and also where they are percent-encoded or stand in
base64, as what a proxy or a provider repeats of a request often is. ``Redactor`` holds the pieces of all
secrets in one set, so that a text is looked through once, however many there are.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote, urlsplit

from .json_values import as_object, as_text

PIECE = 8
"""Characters of a secret in a row that are too many to be shown."""

PLACEHOLDER = "***"

_PUBLIC = frozenset({"sandbox"})
"""Keys that are none: the sandbox's own is the plain word, and words must stay."""

_SHORT_SECRET = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z]).{5,}")
"""A short one has letters and digits: a word, a letter or a number must not vanish from every sentence."""

_PASSING = 16
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_STORE_SECRET = re.compile(
    r"(?:AWS|AZURE|GOOGLE|GCS)_(?:\w*_)?(?:SECRET|TOKEN|PASSWORD|SAS|CONNECTION|\w*KEY)(?:_\w+)?",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(
    r"\w*_(?:FILE|PATH|ID|NAME|ARN|URI|URL|ENDPOINT|CREDENTIALS|ALGORITHM)", re.IGNORECASE
)
_URLS = re.compile(r"(?:https?|all|ftp)_proxy|remote_upscale_\w+_url", re.IGNORECASE)
_SECRET_FIELD = re.compile(r".*(?:password|secret|token|key|signature)|sig", re.IGNORECASE)
_NOTHING = frozenset[str]()


class Redactor:
    """A set of secrets, and what takes them out of texts. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._lasting: frozenset[str] = _NOTHING
        self._passing: deque[frozenset[str]] = deque(maxlen=_PASSING)
        self._pieces: frozenset[str] = _NOTHING
        self._words: re.Pattern[str] | None = None
        self._short: set[str] = set()

    def hide(self, secret: str, *, passing: bool = False) -> None:
        """Register a secret.

        Args:
            secret: the whole of it. Of several lines, each is a secret of its own. One of less than ``PIECE``
                characters is taken out as a whole word only, and not at all where it could be any word.
            passing: it ends soon and others follow it: only the last ``_PASSING`` of these are kept, and none
                of less than ``PIECE`` characters.
        """
        for line in secret.split("\n"):
            self._hide_line(line.strip(), passing=passing)

    def _hide_line(self, secret: str, *, passing: bool) -> None:
        with self._lock:
            if not secret or secret.lower() in _PUBLIC or secret in self._known:
                return
            if passing:
                self._passing.append(frozenset(_pieces(secret)))
            elif len(secret) < PIECE and not _SHORT_SECRET.fullmatch(secret):
                return
            elif len(secret) < PIECE:
                self._short |= {secret, unquote(secret)}
                words = "|".join(re.escape(word) for word in sorted(self._short, key=len, reverse=True))
                self._words = re.compile(rf"(?<!\w)(?:{words})(?!\w)")
            else:
                self._known.add(secret)
                self._lasting |= frozenset(_pieces(secret))
            self._pieces = self._lasting.union(*self._passing)

    def redact(self, text: str) -> str:
        """The text with ``PLACEHOLDER`` in every place where something of a secret stood."""
        pieces, words = self._pieces, self._words
        if pieces:
            text = _without(text, _hits(text, pieces))
        return words.sub(PLACEHOLDER, text) if words else text


_process = Redactor()
hide = _process.hide
redact = _process.redact


def hide_environment(environ: Mapping[str, str]) -> None:
    """Register the secrets that an environment has for others than the providers.

    These are the keys and tokens of object stores (``AWS_SECRET_ACCESS_KEY``, ``AZURE_STORAGE_SAS_TOKEN``,
    ``GOOGLE_SERVICE_ACCOUNT_KEY``, …) and the passwords in the addresses of proxies, of the ledger and of the
    stores. Names of files and accounts are no secrets.

    Args:
        environ: the environment.
    """
    for name, value in environ.items():
        for secret in _secrets(name, value):
            hide(secret)


def get_logger(name: str) -> logging.Logger:
    """A logger of ours, which writes no secret: neither in a line, nor in the traceback below it.

    Filters of a logger hold for its own lines only and not for those of the ones below it, so each needs it.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_redact_record)
    return logger


def _redact_record(record: logging.LogRecord) -> bool:
    try:
        line = record.getMessage()
    except (TypeError, ValueError):  # the words and their values do not fit together
        line = str(record.msg)
    record.msg, record.args = redact(line), None
    if record.exc_info:
        record.exc_text = redact(logging.Formatter().formatException(record.exc_info))  # pyright: ignore[reportArgumentType]
        record.exc_info = None  # a handler that formats it once more would show what was taken out
    return True


def _pieces(secret: str) -> Iterator[str]:
    """Every ``PIECE`` characters in a row of each form of a secret, in lower case."""
    for form in _forms(secret):
        low = form.translate(_LOWER)
        yield from (low[at : at + PIECE] for at in range(len(low) - PIECE + 1))


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    yield from (secret, unquote(secret), raw.decode("latin-1"))  # the last is what percent-encoding has
    for before in range(3):
        # What stands before a secret in base64 shifts it by 0, 1 or 2 bytes. Characters that also depend on
        # what is around it are left out.
        whole = base64.b64encode(bytes(before) + raw).decode()
        bits = 8 * (before + len(raw))
        inner = whole[-(-8 * before // 6) : bits // 6]
        yield inner
        yield inner.translate({ord("+"): "-", ord("/"): "_"})


def _hits(text: str, pieces: frozenset[str]) -> list[tuple[int, int]]:
    """Where something of a secret stands: start and end, in order of the start."""
    low = text.translate(_LOWER)
    found = [(at, at + PIECE) for at in range(len(low) - PIECE + 1) if low[at : at + PIECE] in pieces]
    if "%" in text:
        decoded, places = _decoded(low)
        found += [
            (places[at][0], places[at + PIECE - 1][1])
            for at in range(len(decoded) - PIECE + 1)
            if decoded[at : at + PIECE] in pieces
        ]
        found.sort()
    return found


def _decoded(text: str) -> tuple[str, list[tuple[int, int]]]:
    """A text with its percent-encoding undone, and for each character from where to where it came."""
    characters: list[str] = []
    places: list[tuple[int, int]] = []
    at = 0
    while at < len(text):
        encoded = _ENCODED.match(text, at)
        end = encoded.end() if encoded else at + 1
        characters.append(chr(int(encoded[1], 16)) if encoded else text[at])
        places.append((at, end))
        at = end
    return "".join(characters).translate(_LOWER), places


def _without(text: str, hits: Iterable[tuple[int, int]]) -> str:
    kept: list[str] = []
    done = 0
    for start, end in hits:
        if start > done or not kept:
            kept += [text[done:start], PLACEHOLDER]
        done = max(done, end)
    return "".join([*kept, text[done:]])


def _secrets(name: str, value: str) -> Iterator[str]:
    """The secrets in one variable of the environment."""
    if _URLS.fullmatch(name):
        yield from _of_url(value)
    elif name == "PGPASSWORD":  # what the ledger's library for PostgreSQL reads
        yield value
    elif _STORE_SECRET.fullmatch(name) and not _NO_SECRET.fullmatch(name):
        if value.lstrip().startswith("{"):
            yield from _of_document(value)
        elif re.search(r"[&;]\w+=", value):  # of a SAS, or a connection string, only some fields are secret
            yield from _of_query(value.lstrip("?"))
        elif value.strip().lower() not in ("true", "false", "1", "0"):
            yield value


def _of_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        password = parts.password
    except ValueError:
        return
    if password:
        yield password
    yield from _of_query(parts.query)


def _of_query(query: str) -> Iterator[str]:
    for field in re.split("[&;]", query):
        name, _, value = field.partition("=")
        if _SECRET_FIELD.fullmatch(name.strip()):
            yield value


def _of_document(text: str) -> Iterator[str]:
    """Google's key files: of their fields only these are secret, the others are addresses."""
    try:
        document = as_object(json.loads(text))
    except (ValueError, RecursionError):
        return
    for name in ("private_key", "private_key_id", "client_secret", "refresh_token"):
        lines = (as_text(document.get(name)) or "").splitlines()
        yield from (line for line in lines if not line.startswith("-----"))
