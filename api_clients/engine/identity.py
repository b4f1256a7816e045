"""What makes two jobs the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from ..models import Model
from ..parameters import Value


def identity(model: Model, content: str, values: Mapping[str, Value], answered_by: str) -> str:
    """The digest of all that a result depends on, in hexadecimal.

    Args:
        model: the upscaler.
        content: digest of what the input shows.
        values: the checked parameters.
        answered_by: the provider's root, so that a sandbox's result is never taken for a real one.
    """
    affecting = {p.name: values[p.name] for p in model.parameters if p.affects_result and p.name in values}
    same = json.dumps([model.id, content, affecting, answered_by], sort_keys=True)
    return hashlib.sha256(same.encode()).hexdigest()


def account(root: str, key: str) -> str:
    """What stands for a key at a provider in the ledger; neither can be read from it."""
    return hashlib.sha256(f"{root}\n{key}".encode()).hexdigest()[:16]
