"""The ``remote-upscale`` command. What it takes, prints and returns is part of the outside contract."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from .arguments import read_arguments
from .exits import INTERRUPTED


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    Args:
        argv: the arguments without the program's name; the process's own by default.
    """
    try:
        arguments = read_arguments(argv)
        # Each command is imported on its own: most of them start without the network and the codecs.
        return import_module(f"{__name__}.{arguments.command}").main(arguments)
    except SystemExit as stop:  # argparse has said why
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        return INTERRUPTED
