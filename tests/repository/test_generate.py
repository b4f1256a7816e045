"""Everything that is derived from the code is current, as far as it can be checked here."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_check_finds_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))  # what needs a ComfyUI is checked in tests/host
    program = [sys.executable, ROOT / "tools" / "generate.py", "--check"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "web/docs: checking" in done.stdout
    assert "locales/en: left out: There is no ComfyUI" in done.stdout


def test_every_tool_that_writes_what_is_derived_is_a_step():
    """`lock.py` writes what is installed, and `generate.py` is the command itself."""
    text = (ROOT / "tools" / "generate.py").read_text("utf-8")
    steps = set(re.findall(r'Step\("(\w+\.py)"', text))
    assert steps == {tool.name for tool in (ROOT / "tools").glob("*.py")} - {"lock.py", "generate.py"}
