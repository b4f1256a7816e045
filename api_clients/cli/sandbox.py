"""``remote-upscale sandbox``: serve the embedded sandbox."""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

from ..registry import MODELS, PROVIDERS, ROOTS
from ..roots import Roots
from ..sandbox import Sandbox, serve
from ..settings import SANDBOX_KEY
from . import exits
from .interrupts import run_until_stopped
from .output import Printer, tell


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    return run_until_stopped(partial(_serve, arguments.port, Printer(json=False)))


async def _serve(port: int, printer: Printer) -> int:
    try:
        await serve(MODELS.values(), port=port, ready=partial(_show, printer))
    except OSError as error:
        tell(f"The sandbox cannot listen on port {port}: {error.strerror}. Choose another --port.")
        return exits.UNUSABLE_ARGUMENTS
    return exits.DONE


def _show(printer: Printer, sandbox: Sandbox) -> None:
    tell(f"The sandbox is at {sandbox.url}; Ctrl-C stops it. To send jobs to it:")
    for line in _environment(sandbox.roots):
        printer.line(line)


def _environment(roots: Roots) -> list[str]:
    """The lines for a shell that point every provider to these roots."""
    variables = {ROOTS[name].variable: url for name, url in roots.items()}
    variables |= {provider.key_variable: SANDBOX_KEY for provider in PROVIDERS.values()}
    variables["REMOTE_UPSCALE_HOSTING"] = "fal"
    # With a ledger of its own: what the sandbox asks for is no money, but would count as such.
    variables["REMOTE_UPSCALE_HOME"] = str(Path(tempfile.gettempdir()) / "remote-upscale-sandbox")
    shape = '$env:{} = "{}"' if sys.platform == "win32" else "export {}={}"
    return [shape.format(name, value) for name, value in variables.items()]
