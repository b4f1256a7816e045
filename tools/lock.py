"""Writes ``requirements-dev.lock``: the versions with which the tests run, by name alone.

    python tools/lock.py             from what is installed in this environment
    python tools/lock.py --check     say what the lock lacks, and end with status 1 if anything
    python tools/lock.py --oldest    print the oldest versions that are promised to work, in the same form

The file is a list of constraints for pip, so that a line for what another system does not need does no harm
there, and what only another system needs is free. What it does not name is installed in its newest version.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements-dev.lock"
HEAD = "# Made by `make lock`. What `make test` and the workflows run with; pip takes it as constraints.\n"


def direct() -> list[Requirement]:
    """What the project asks for, with all that is needed for working on it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    return [Requirement(line) for line in [*lines, *project["optional-dependencies"]["dev"]] if line]


def installed() -> dict[str, Version]:
    """The versions of all that the project needs, directly or not, by name.

    Raises:
        SystemExit: something of it is not installed.
    """
    found: dict[str, Version] = {}
    open_ones = [(one, extra) for one in direct() for extra in ("", *one.extras)]
    seen: set[tuple[str, str]] = set()
    while open_ones:
        requirement, extra = open_ones.pop()
        name = canonicalize_name(requirement.name)
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            package = distribution(requirement.name)
        except PackageNotFoundError:
            raise SystemExit(f"{requirement} is not installed: run make lint first.") from None
        found[name] = Version(package.version)
        for line in package.requires or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                open_ones += [(needed, one) for one in ("", *needed.extras)]
    return found


def locked() -> dict[str, Version]:
    """What the lock says, by name."""
    requirements = (
        Requirement(line) for line in LOCK.read_text("utf-8").splitlines() if line and line[0] != "#"
    )
    return {canonicalize_name(one.name): Version(next(iter(one.specifier)).version) for one in requirements}


def differences() -> Iterator[str]:
    """What the lock lacks, in sentences."""
    versions = locked()
    for requirement in direct():
        name = canonicalize_name(requirement.name)
        if name not in versions:
            yield f"{requirement.name} is not in {LOCK.name}: run make lock"
        elif versions[name] not in requirement.specifier:
            yield f"{LOCK.name} has {name} {versions[name]}, but the project needs {requirement.specifier}"


def oldest() -> Iterator[str]:
    """The lower bound of each requirement as a constraint."""
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    for requirement in map(Requirement, lines):
        [bound] = requirement.specifier
        yield f"{requirement.name}=={bound.version}"


def main() -> int:
    """Run the tool; 1 when a check finds something."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--check", action="store_true", help="write nothing; say what the lock lacks")
    ways.add_argument("--oldest", action="store_true", help="print the oldest versions that are promised")
    arguments = parser.parse_args()
    if arguments.oldest:
        print(*oldest(), sep="\n")
    elif arguments.check:
        found = list(differences())
        print(*found, sep="\n", end="\n" if found else "")
        return 1 if found else 0
    else:
        lines = [f"{name}=={version.public}\n" for name, version in sorted(installed().items())]
        LOCK.write_text(HEAD + "".join(lines), "utf-8")
        print(f"{LOCK.name}: {len(lines)} versions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
