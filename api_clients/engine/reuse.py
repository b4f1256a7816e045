"""The same content and the same parameters are answered by the result that is already there."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from ..files.place import discard, move_into_place, partial_path
from ..files.segments import Segments
from ..ledger import JobRow, Ledger
from ..models import Model
from ..parameters import Value


def identity(model: Model, digest: str, values: Mapping[str, Value], answered_by: str) -> str:
    """What makes two jobs the same: model, content of the input, what affects the result, and who makes it.

    Args:
        model: the upscaler.
        digest: of the input's content.
        values: the checked parameters.
        answered_by: the provider's root, so that a sandbox's result is never taken for a real one.
    """
    affecting = {p.name: values[p.name] for p in model.parameters if p.affects_result and p.name in values}
    same = json.dumps([model.id, digest, affecting, answered_by], sort_keys=True)
    return hashlib.sha256(same.encode()).hexdigest()


def find_reusable(ledger: Ledger, key: str, *, sandbox: bool) -> JobRow | None:
    """An earlier job of that identity whose result is still on disk, unchanged."""
    row = ledger.finished(key, sandbox=sandbox)
    if row is None or row.result_path is None:
        return None
    result = Path(row.result_path)
    try:
        whole = (
            result.stat().st_size == row.result_bytes and Segments.whole(result).sha256() == row.result_sha256
        )
    except OSError:
        return None
    return row if whole else None


def take_reusable(row: JobRow, destination: Path) -> None:
    """Put a copy of an earlier result into place."""
    source = Path(row.result_path or "")
    if destination.exists() and destination.samefile(source):
        return
    partial = partial_path(destination)
    try:
        shutil.copyfile(source, partial)
        move_into_place(partial, destination)
    finally:
        discard(partial)
