"""What the example workflows are made from."""

from __future__ import annotations

from collections.abc import Sequence

from . import chains, single, with_models
from .graph import Workflow

WORKFLOWS: Sequence[Workflow] = (*single.WORKFLOWS, *with_models.WORKFLOWS, *chains.WORKFLOWS)
