"""The ``remote-upscale`` command. What it takes, prints and returns is part of the outside contract."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

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
        name = f"{__name__}.{arguments.command}"
        command = import_module(name) if argv is not None else _import_for_good(name)
        return command.main(arguments)
    except SystemExit as stop:  # argparse has said why
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        return INTERRUPTED


def _import_for_good(name: str) -> ModuleType:
    """Import a module into a process that is the command's own, and has nothing else in it yet.

    What is imported stays to the end. To look for garbage in it again and again, and once more at the end,
    would take a tenth of the time of a short run.
    """
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()
