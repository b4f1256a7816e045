"""From what the user wrote to inputs, and to the files that their results will be."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..environment import expand_own
from ..errors import InvalidInput, InvalidParameter
from ..files.sniff import SUFFIXES
from ..models import Model
from ..parameters import Choice

_FORMATS = {suffix: name for name, suffix in SUFFIXES.items()} | {".jpeg": "jpeg", ".m4v": "mp4"}


@dataclass(frozen=True)
class Source:
    """One input.

    Attributes:
        text: for the user to recognise it by.
        where: the file, or the URL.
        error: why it cannot be used, where that is already known.
    """

    text: str
    where: Path | str
    error: InvalidInput | None = None

    @property
    def stem(self) -> str:
        """The name of the result without suffix."""
        if isinstance(self.where, Path):
            return self.where.stem
        name = Path(unquote(urlsplit(self.where).path)).stem
        safe = "".join("_" if char in '<>:"/\\|?*' or not char.isprintable() else char for char in name)
        return safe.strip(". ")[:100] or "result"


def expand(words: Sequence[str]) -> list[Source]:
    """The inputs that the words stand for, each once, in the order of the words."""
    sources: dict[str, Source] = {}
    for word in words:
        for source in _expand(word):
            key = source.where if isinstance(source.where, str) else os.path.realpath(source.where)
            sources.setdefault(key, source)
    return list(sources.values())


def _expand(word: str) -> list[Source]:
    if word.lower().startswith(("http://", "https://")):
        return [Source(word, word)]
    try:
        path = expand_own(word)
    except InvalidParameter as error:
        return [Source(word, Path(word), InvalidInput(error.message, hint=error.hint))]
    if not glob.has_magic(word) or os.path.lexists(path):
        return [Source(word, path)]
    found = sorted(Path(name) for name in glob.glob(str(path), recursive=True) if Path(name).is_file())  # noqa: PTH207 (keeps the pattern's own form)
    if not found:
        return [
            Source(
                word, path, InvalidInput(f"No file matches {word}.", hint="Check the path and the pattern.")
            )
        ]
    return [Source(str(name), name) for name in found]


def is_folder(target: str, inputs: int) -> bool:
    """Whether ``-o`` means a folder."""
    ends = target.endswith(("/", os.sep))
    try:
        return ends or inputs > 1 or expand_own(target).is_dir()
    except OSError:  # such as a name that is too long; placing the file tells what is wrong with it
        return False


def with_format(model: Model, given: Mapping[str, object], target: str) -> dict[str, object]:
    """The parameters, with ``output_format`` set from the suffix of the result's file where that says it.

    Raises:
        InvalidParameter: the suffix says one format and the user's ``output_format`` another.
    """
    wanted = _FORMATS.get(Path(target).suffix.lower())
    formats = next((p for p in model.parameters if p.name == "output_format" and isinstance(p, Choice)), None)
    current = model.output_format(model.check(given).values)
    if wanted is None or formats is None or wanted == current:
        return dict(given)
    if given.get("output_format") is not None:
        raise InvalidParameter(
            f"output_format is {given['output_format']}, but the output is named {Path(target).name}.",
            hint=f"Name it {Path(target).stem}{SUFFIXES[current]}, or leave output_format out.",
        )
    for choice in formats.choices:
        if model.output_format({"output_format": choice}) == wanted:
            return {**given, "output_format": choice}
    return dict(given)


def name_outputs(
    sources: Sequence[Source],
    target: str,
    suffix: str,
    may_take: Callable[[Source, Path], bool] = lambda _source, _path: True,
) -> list[Path]:
    """The file for each input's result, all different from each other and from every input.

    Args:
        sources: the inputs.
        target: what follows ``-o``.
        suffix: of the results' names in a folder.
        may_take: whether an input's result may be at a place in the folder.

    Raises:
        InvalidParameter: the only file named is an input itself.
    """
    path = expand_own(target)
    taken = {same_file(source.where) for source in sources if isinstance(source.where, Path)}
    if not is_folder(target, len(sources)):
        if same_file(path) in taken:
            raise InvalidParameter(f"{target} is the input itself.", hint="Give the output another name.")
        return [path]
    outputs: list[Path] = []
    for source in sources:
        names = names_in(path, source, suffix)
        output = next(name for name in names if same_file(name) not in taken and may_take(source, name))
        taken.add(same_file(output))
        outputs.append(output)
    return outputs


def names_in(folder: Path, source: Source, suffix: str) -> Iterator[Path]:
    """The names that an input's result can have in a folder, best first, without end."""
    yield folder / f"{source.stem}{suffix}"
    for number in count(2):
        yield folder / f"{source.stem} ({number}){suffix}"


def suffix_note(path: Path, file_format: str, verb: str = "is") -> str | None:
    """A sentence for when a result's name says another format than it has, or will have."""
    if _FORMATS.get(path.suffix.lower()) == file_format:
        return None
    return f"The result {verb} {_a(file_format)} file, although its name ends differently."


def _a(file_format: str) -> str:
    return f"an {file_format}" if file_format in ("avi", "mp4") else f"a {file_format}"


def name_fetched(request_id: str, target: str, file_format: str) -> Path:
    """The file for the result of a job that is known by its request id."""
    path = expand_own(target)
    if not is_folder(target, 1):
        return path
    safe = re.sub(r"[^\w.-]", "_", request_id, flags=re.ASCII).strip(".")
    return path / f"{safe or 'result'}{SUFFIXES[file_format]}"


def same_file(path: Path) -> str:
    """Equal for names of the same file, also where the file system ignores case."""
    return os.path.realpath(path).casefold()
