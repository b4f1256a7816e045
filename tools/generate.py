"""Brings everything up to date that is derived from the code, or says what is not: ``make generate``.

    python tools/generate.py            write it all
    python tools/generate.py --check    write nothing; end with status 1 if something is not current

What needs a ComfyUI, a browser or a font that is not there is left out, in one line.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / "tools"
sys.path.insert(0, str(ROOT / "tests" / "support"))

from comfyui_server import NotInstalled, find, starts_without_us  # noqa: E402 (the tests start it as well)


def nothing() -> str:
    """What stands in the way of a step that needs nothing else."""
    return ""


def comfyui() -> str:
    """Why no ComfyUI can be started; empty where one can."""
    try:
        folder, _ = find()
    except NotInstalled as missing:
        return str(missing)
    return "" if starts_without_us() else f"the ComfyUI in {folder} does not start"


def browser() -> str:
    """Why ComfyUI's frontend cannot be opened; empty where it can."""
    from remote_upscale.tools.workflows.frontend import CHROMIUM  # noqa: PLC0415 (playwright may be missing)

    return comfyui() or ("" if CHROMIUM else "there is no Chromium")


def font() -> str:
    """Why the banner would look different from this machine; empty where its font is installed."""
    from artwork import FONTS  # noqa: PLC0415 (Pillow is not needed for anything else here)
    from PIL import ImageFont  # noqa: PLC0415

    try:
        ImageFont.truetype(FONTS[0], 10)
    except OSError:
        return f"the font {FONTS[0]} is not installed"
    return ""


@dataclass(frozen=True)
class Step:
    """One tool.

    Attributes:
        tool: its file.
        makes: what it writes.
        obstacle: says why it cannot run here, or nothing.
        checks: whether it has ``--check``. Pictures differ from one release of a codec or a font to the next.
    """

    tool: str
    makes: str
    obstacle: Callable[[], str] = nothing
    checks: bool = False


STEPS = (
    Step("transitions.py", "the tables of states in ARCHITECTURE.md", checks=True),
    Step("locales.py", "locales/en", comfyui, checks=True),
    Step("help_pages.py", "web/docs", checks=True),
    Step("help_pictures.py", "web/docs/pictures"),
    Step("make_workflows.py", "example_workflows", browser),
    Step("artwork.py", "docs/icon.png, docs/banner.png", font),
)


def main() -> int:
    """Run all steps; 1 if one found or failed at something."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; say what is not current")
    check: bool = parser.parse_args().check
    failed = 0
    for step in STEPS:
        if check and not step.checks:
            continue
        if reason := step.obstacle():
            print(f"{step.makes}: left out: {reason}", flush=True)
            continue
        print(f"{step.makes}: {'checking' if check else 'writing'}", flush=True)
        command = [sys.executable, TOOLS / step.tool, *(["--check"] if check else [])]
        failed += subprocess.run(command, cwd=ROOT, check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
