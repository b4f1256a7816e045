"""The versions for development are locked, and the lock goes with what the project asks for."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements-dev.lock").read_text("utf-8").splitlines()


def run(*arguments):
    program = [sys.executable, ROOT / "tools" / "lock.py", *arguments]
    return subprocess.run(program, capture_output=True, text=True, check=False)


def test_it_holds_names_and_versions_alone():
    lines = [line for line in LOCK if not line.startswith("#")]
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9][a-z0-9-]*==[\w.]+", line)] == []
    names = [line.partition("==")[0] for line in lines]
    assert names == sorted(set(names))


def test_it_has_all_that_the_project_asks_for():
    done = run("--check")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_the_oldest_versions_are_the_lower_bounds():
    bounds = (ROOT / "requirements.txt").read_text("utf-8").replace(">=", "==")
    assert run("--oldest").stdout == bounds


def test_what_make_installs_for_the_tests_is_locked():
    script = (ROOT / ".ci" / "environment").read_text("utf-8")
    assert "lock=${LOCK:-requirements-dev.lock}" in script
    assert '--constraint "$lock"' in script
