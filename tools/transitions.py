"""Write the tables of a job's states into ``ARCHITECTURE.md``, or check them.

They are what ``api_clients/states.py`` says; ``--check`` tells whether the page is current.

    python tools/transitions.py [--check]

"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from remote_upscale.api_clients.states import IF_LEFT, TRANSITIONS, JobState, Transition

PAGE = Path(__file__).parents[1] / "ARCHITECTURE.md"
_BEGIN, _END = "<!-- states: made by tools/transitions.py -->", "<!-- states end -->"


def filled(page: str) -> str:
    """The page with the tables as they should be.

    Args:
        page: as it is.

    Raises:
        ValueError: it has no place for them.
    """
    place = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    if not place.search(page):
        raise ValueError(f"{PAGE.name} has no lines {_BEGIN} and {_END}.")
    return place.sub(lambda _: "\n\n".join([_BEGIN, _states(), _transitions(), _END]), page)


def _states() -> str:
    rows = ((_code(state), left.meaning, left.taken_up_by) for state, left in IF_LEFT.items())
    return _table(("state", "a crash there means", "what takes it up"), rows)


def _transitions() -> str:
    rows = (
        (_code(step.name), _sources(step), _target(step), step.by.value, _cleared(step), step.meaning)
        for step in TRANSITIONS.values()
    )
    return _table(("transition", "from", "to", "by", "clears", "what it records"), rows)


def _sources(step: Transition) -> str:
    suffix = {None: "", True: " with a request id", False: " without a request id"}[step.request_id]
    return (", ".join(map(_code, step.sources)) or "–") + suffix


def _target(step: Transition) -> str:
    if step.removes:
        return "removed"
    return "stays" if step.target is None else _code(step.target)


def _cleared(step: Transition) -> str:
    return ", ".join([*map(_code, step.clears), *(["cost becomes 0"] if step.frees else [])]) or "–"


def _code(word: str | JobState) -> str:
    return f"`{word}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    """Run the tool; 1 when a check finds something."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; say whether it is current")
    arguments = parser.parse_args()
    page = PAGE.read_text("utf-8")
    wanted = filled(page)
    if arguments.check:
        current = "The tables are current."
        print(current if page == wanted else f"{PAGE.name} is not current: run tools/transitions.py")
        return int(page != wanted)
    PAGE.write_text(wanted, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
