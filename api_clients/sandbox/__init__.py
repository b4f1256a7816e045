"""An embedded provider: the documented protocols of all providers, answered by this machine.

It is written from the providers' pages and shares no protocol code with our client, so that the two check
each other. It validates by the models' declarations, and really upscales, by Lanczos resampling.
"""

from .exchange import Recorded
from .faults import (
    Action,
    Fault,
    Faults,
    Garbage,
    Stage,
    error,
    fails,
    finished,
    finished_list,
    garbage,
    hang,
    ignored,
    literal,
    lost_reply,
    no_output,
    oversized,
    redirect,
    reset,
    resized,
    slow,
    state,
    string_output,
    truncated,
    wrong_type,
)
from .jobs import Delays, Job, State
from .server import Sandbox, serve
from .upscale_image import MARK

__all__ = [
    "MARK",
    "Action",
    "Delays",
    "Fault",
    "Faults",
    "Garbage",
    "Job",
    "Recorded",
    "Sandbox",
    "Stage",
    "State",
    "error",
    "fails",
    "finished",
    "finished_list",
    "garbage",
    "hang",
    "ignored",
    "literal",
    "lost_reply",
    "no_output",
    "oversized",
    "redirect",
    "reset",
    "resized",
    "serve",
    "slow",
    "state",
    "string_output",
    "truncated",
    "wrong_type",
]
