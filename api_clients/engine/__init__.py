"""Drives jobs from a file to a file, the same for every provider."""

from .engine import Engine
from .job import Job, OnProgress, Outcome, Progress, SpendLimit, Stage
from .prepare import Estimate

__all__ = ["Engine", "Estimate", "Job", "OnProgress", "Outcome", "Progress", "SpendLimit", "Stage"]
