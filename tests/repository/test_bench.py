"""``make bench`` goes on after a missed goal, and tells all of them at its end."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAD = "import sys\nsys.path.insert(0, {bench!r})\nfrom goals import at_least, at_most\n"
RUN = (
    "import sys\nsys.path.insert(0, {bench!r})\n"
    "import pathlib, run\nsys.exit(run.main(sys.argv[2:], pathlib.Path(sys.argv[1])))"
)


def bench(folder, *names, **scripts):
    """Run scripts of those names, and give the exit status and the lines after the last heading."""
    where = str(ROOT / "bench")
    for name, code in scripts.items():
        (folder / f"bench_{name}.py").write_text(HEAD.format(bench=where) + code)
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(bench=where), folder, *names],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "BENCH_GOALS"},
    )
    return done.returncode, done.stdout.partition("=== all goals\n")[2].strip().splitlines()


def test_a_missed_goal_stops_nothing_and_is_listed(tmp_path):
    status, lines = bench(
        tmp_path,
        a="at_most(2, 'the slow one', 3.25, 's')\nat_least(40, 'the fast one', 41.5, 'x')",
        b="assert at_most(5, 'the last one', 5).verdict == 'met'",
    )
    assert status == 1
    assert [line.split()[:2] for line in lines[:3]] == [["missed", "a"], ["met", "a"], ["met", "b"]]
    assert lines[0].endswith("3.25 s   at most 2")
    assert lines[1].endswith("41.5 x   at least 40")
    assert lines[-1] == "2 met, 1 missed; 0 benchmarks failed"


def test_a_benchmark_that_fails_stops_no_other_and_is_listed(tmp_path):
    status, lines = bench(tmp_path, a="raise ValueError", b="at_most(5, 'memory', 1, 'MB')")
    assert status == 1
    assert lines[0].split() == ["failed", "a", "ended", "with", "status", "1"]
    assert lines[-1] == "1 met, 0 missed; 1 benchmarks failed"


def test_all_met_is_status_0_and_some_can_be_chosen(tmp_path):
    scripts = {"a": "at_most(1, 'size', 9)", "b": "at_least(1, 'ratio', 9)"}
    status, lines = bench(tmp_path, "b", **scripts)
    assert status == 0
    assert lines[0].split() == ["met", "b", "ratio", "9", "at", "least", "1"]
    assert len(lines) == 3
    assert bench(tmp_path, "c")[0] == 2
