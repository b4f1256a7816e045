"""A job that was checked, and all that is known of it before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass

from ..files.spliced_file import SplicedFile
from .fetching import Wanted
from .job import Job, Plan
from .tracker import Tracker


@dataclass(frozen=True)
class Errand:
    """A result that has to be brought.

    Attributes:
        job: for which it is.
        wanted: what it has to be.
        tracker: the line to the user.
    """

    job: Job
    wanted: Wanted
    tracker: Tracker


@dataclass(frozen=True)
class Order:
    """A job that was checked.

    Attributes:
        errand: what it is about.
        plan: what it comes to.
        segments: what will be uploaded; ``None`` where the input is a URL.
        file: SHA-256 of that, or of the URL.
        content: digest of what it shows.
        identity: digest of all that the result depends on.
        root: of the provider.
    """

    errand: Errand
    plan: Plan
    segments: SplicedFile | None
    file: str
    content: str
    identity: str
    root: str
