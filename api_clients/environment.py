"""Variables of the environment, and the home folder that they lead to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

import platformdirs

from .errors import InvalidParameter

PRODUCT = "remote-upscale"
PREFIX = "REMOTE_UPSCALE_"
HOME = "REMOTE_UPSCALE_HOME"
_QUOTES = "\"'"


def without_quotes(env: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """The environment, with our variables free of the quotes that ``docker --env-file`` leaves around them.

    Args:
        env: the environment.
        names: variables that are ours besides those that begin with ``REMOTE_UPSCALE_``.

    Raises:
        InvalidParameter: there is a quote at one end of a value only; names the variable.
    """
    ours = {name for name in env if name.startswith(PREFIX) or name in names}
    return {name: unquoted(name, value) if name in ours else value for name, value in env.items()}


def unquoted(name: str, value: str) -> str:
    """A variable's value without a pair of quotes around it.

    Raises:
        InvalidParameter: there is a quote at one end only.
    """
    text = value.strip()
    if len(text) > 1 and text[0] in _QUOTES and text[0] == text[-1]:
        return text[1:-1]
    if text and (text[0] in _QUOTES or text[-1] in _QUOTES):
        raise InvalidParameter(
            f"{name} begins or ends with a quotation mark that is not closed.",
            hint="Set it without quotation marks; `docker --env-file` takes them as a part of the value.",
        )
    return value


def home_folder(named: str, usual: Path | None) -> Path:
    """The home folder.

    Args:
        named: what ``REMOTE_UPSCALE_HOME`` says; may be empty.
        usual: the folder where that says nothing; ``None`` for the platform's folder for user data.

    Raises:
        InvalidParameter: this user has no folder of their own, or the name is that of another user's.
    """
    if named:
        return own_folder(named, HOME).absolute()
    if usual is not None:
        return usual.absolute()
    folder = Path()
    with suppress(RuntimeError):  # as newer releases of platformdirs tell it
        folder = platformdirs.user_data_path(PRODUCT, False)
    if not folder.is_absolute():  # no HOME, and no entry for this user in the system's list of users
        raise InvalidParameter(
            "This user has no home folder where jobs and results could be kept.",
            hint=f"Set {HOME} to a folder that can be written.",
        )
    return folder


def own_folder(name: str, what: str) -> Path:
    """A path, with ``~`` at its beginning as this user's own home folder.

    Args:
        name: the path. ``~somebody`` is refused: nothing of ours belongs into another user's folder.
        what: what it is the name of, for the message.

    Raises:
        InvalidParameter: it is in another user's home, or this user has none.
    """
    first = Path(name).parts[:1]
    if first and first[0].startswith("~") and first != ("~",):
        raise InvalidParameter(
            f"{what} begins with {first[0][:80]}, which stands for the home folder of another user.",
            hint="Give the whole path of a folder; one that is really named so is written with ./ before it.",
        )
    return expand_own(name)


def expand_own(name: str) -> Path:
    """A path in which ``~`` alone, before the first slash, is this user's home folder.

    Names that merely begin with ``~`` are names like any other.

    Raises:
        InvalidParameter: this user has no home folder.
    """
    path = Path(name)
    if path.parts[:1] != ("~",):
        return path
    try:
        return path.expanduser()
    except RuntimeError:
        raise InvalidParameter(
            f"{name[:80]} cannot be used: this user has no home folder.", hint="Give the whole path instead."
        ) from None
