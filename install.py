"""Brings OpenCV where there is none, and changes nothing where there is one.

ComfyUI-Manager and comfy-cli run this file after they have installed ``requirements.txt``; whoever installs
the pack by hand runs it once: ``python install.py``, with the Python that runs ComfyUI.

OpenCV comes in four distributions that all write the same folder ``cv2``, and no requirement can say "any of
them": a requirement of one would overwrite the one that another pack has brought. So ``requirements.txt``
names none, and this file installs one only where ``cv2`` is missing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

DISTRIBUTIONS = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)
"""All that bring ``cv2``; the first one is ours: it is the smallest, and needs no library of a desktop."""

LEAST = "4.8"


def main() -> int:
    """Install OpenCV if it is missing; returns the exit status of the installer."""
    if has_opencv():
        print("Remote Upscale: OpenCV is there already; nothing was changed.")
        return 0
    return subprocess.run([*installer(), *wanted()], check=False).returncode


def has_opencv() -> bool:
    """Whether there is a module ``cv2``. A folder that an uninstallation has left behind is none."""
    spec = find_spec("cv2")
    return spec is not None and spec.origin is not None


def wanted() -> list[str]:
    """What the installer is asked for.

    Where a distribution is registered but its files are gone, because another one that shared them was
    uninstalled, the same one is put back. Otherwise it is the newest that goes with the numpy that is there.
    """
    if broken := list(registered(*DISTRIBUTIONS)):
        return ["--force-reinstall", "--no-deps", broken[0]]
    return [f"{DISTRIBUTIONS[0]}>={LEAST}", *registered("numpy")]


def registered(*names: str) -> Iterator[str]:
    """Which of the distributions are registered in this environment, such as ``numpy==2.1.0``."""
    for name in names:
        try:
            yield f"{name}=={version(name)}"
        except PackageNotFoundError:
            continue


def installer() -> list[str]:
    """The command that installs into the environment of this Python.

    Raises:
        SystemExit: there is neither pip nor uv.
    """
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--python", sys.executable]
    raise SystemExit("Remote Upscale needs OpenCV, and there is neither pip nor uv to install it with.")


if __name__ == "__main__":
    sys.exit(main())
