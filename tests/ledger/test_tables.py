"""The tables of states in ``ARCHITECTURE.md`` are what the code says."""

import subprocess
import sys
from pathlib import Path

import pytest
from remote_upscale.api_clients.states import TRANSITIONS, JobState

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool():
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import transitions
    finally:
        sys.path.remove(str(ROOT / "tools"))
    return transitions


def test_the_tables_are_current(tool):
    page = tool.PAGE.read_text("utf-8")
    assert tool.filled(page) == page, "run tools/transitions.py"


def test_a_page_is_filled_between_the_marks_alone(tool):
    page = f"before\n{tool._BEGIN}\nstale words\n{tool._END}\nafter"
    filled = tool.filled(page)
    assert filled.startswith(f"before\n{tool._BEGIN}")
    assert filled.endswith(f"{tool._END}\nafter")
    assert "stale words" not in filled
    assert [name for name in [*TRANSITIONS, *JobState] if f"| `{name}` |" not in filled] == []
    with pytest.raises(ValueError, match="has no lines"):
        tool.filled("a page without a place for them")


def test_the_check_tells_by_its_status(tool):
    check = [sys.executable, str(ROOT / "tools" / "transitions.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "The tables are current.\n")
