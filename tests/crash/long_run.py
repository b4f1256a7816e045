"""Many kills, by hand: ``python tests/crash/long_run.py --kills 500 --seed 1``.

Exit status 1 if anything paid was lost or paid twice, or if a stage was never hit.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from crashing import crash_run
from postgresql_server import find_programs, serve


def main() -> int:
    """Run, print the summary, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=500, metavar="N", help="how many (default: 500)")
    parser.add_argument("--seed", type=int, metavar="N", help="repeats a run, as far as timing allows it")
    parser.add_argument(
        "--postgresql", action="store_true", help="keep the ledgers in a PostgreSQL of its own"
    )
    parser.add_argument("--resume-first", action="store_true", help="call `resume` before each `run`")
    given = parser.parse_args()
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crashes-")))
        server = stack.enter_context(serve(find_programs())) if given.postgresql else None

        def environment(_model: str) -> dict[str, str]:
            return {"REMOTE_UPSCALE_LEDGER_URL": server.create()} if server else {}

        run = crash_run(
            folder, kills=given.kills, seed=seed, environment=environment, resume_first=given.resume_first
        )
        report = asyncio.run(run)
    print(report)
    if report.never_hit:
        print(f"Never hit: {', '.join(report.never_hit)}.")
    return 1 if report.violations or report.never_hit else 0


if __name__ == "__main__":
    sys.exit(main())
