"""Drives jobs from a file to a file, the same for every provider."""

from .engine import Engine
from .job import Allowance, Job, OnProgress, Outcome, Plan, Progress, Stage

__all__ = ["Allowance", "Engine", "Job", "OnProgress", "Outcome", "Plan", "Progress", "Stage"]
