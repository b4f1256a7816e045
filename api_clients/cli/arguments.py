"""What can be typed after ``remote-upscale``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ..states import JobState

_EXIT_STATUS = (
    "exit status: 0 every input done; 1 some input failed; 2 unusable arguments or parameters (nothing was "
    "sent, not even an upload); 3 no key or no way to host the input (nothing was sent); 130 interrupted"
)


def read_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments, with the command's name as ``command``.

    Raises:
        SystemExit: help was asked for (0) or the arguments are unusable (2); the reason has been printed.
    """
    parser = _parser()
    arguments, more = parser.parse_known_args(argv)
    if arguments.command == "jobs":
        _check_jobs(parser, arguments)
    if arguments.command == "run" and not any(word.startswith("-") for word in more):
        arguments.inputs += more  # inputs that follow an option
    elif more:
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    if any(not word.strip() for word in getattr(arguments, "inputs", ())):
        parser.error("argument INPUT: an input is empty; give the path of a picture or clip")
    return arguments


def _check_jobs(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Refuse options that would have no effect."""
    chosen = {"--state": arguments.state, "--model": arguments.model, "--since": arguments.since}
    given = [name for name, value in chosen.items() if value]
    if arguments.prune and given:
        parser.error(f"--prune removes whatever is old enough: {given[0]} is not allowed with it")
    if arguments.csv is not None and arguments.json:
        parser.error("--csv prints CSV: --json is not allowed with it")
    if arguments.csv is not None and arguments.since is not None:
        parser.error("--csv exports a whole month: --since is not allowed with it")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="remote-upscale",
        description="Send pictures and clips to remote upscalers, and get the results as files.",
        epilog=_EXIT_STATUS,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    add_parser = parser.add_subparsers(dest="command", required=True, metavar="COMMAND").add_parser
    _add_run(add_parser)
    models = _add(add_parser, "models", "list the models, or show one model's parameters")
    models.add_argument("model", nargs="?", metavar="MODEL", help="show only this one, with its parameters")
    _add_jobs(add_parser)
    _add(add_parser, "resume", "finish every paid job that is not yet on disk")
    _add_fetch(add_parser)
    _add(
        add_parser,
        "check",
        "check keys, hosting, ledger and result store, and say how to fix what is not in order",
    )
    sandbox = _add(add_parser, "sandbox", "serve the embedded sandbox on loopback until stopped", json=False)
    sandbox.add_argument("--port", type=_port, default=0, metavar="N", help="the port (default: a free one)")
    return parser


class _Version(argparse.Action):
    """Prints the version; the library that finds it is loaded for nothing else."""

    def __call__(self, parser: argparse.ArgumentParser, *_given: object) -> None:
        print(f"{parser.prog} {_version(parser.prog)}")
        parser.exit()


def _version(name: str) -> str:
    """The version of this clone, or else of what is installed."""
    import tomllib  # noqa: PLC0415
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        declared = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
        return str(declared["project"]["version"])
    except (OSError, ValueError, KeyError):
        pass
    try:
        return version(name)
    except PackageNotFoundError:
        return "of an unknown version"


_Add = Callable[..., argparse.ArgumentParser]


def _add(add_parser: _Add, name: str, purpose: str, *, json: bool = True) -> argparse.ArgumentParser:
    parser = add_parser(
        name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.", allow_abbrev=False
    )
    if json:
        parser.add_argument("--json", action="store_true", help="print one JSON object a line, nothing else")
    return parser


def _add_run(add_parser: _Add) -> None:
    run = _add(add_parser, "run", "upscale files")
    run.epilog = _EXIT_STATUS
    run.add_argument("model", metavar="MODEL", help="a model's id, see `remote-upscale models`")
    run.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="a file, a glob or a public URL; repeated ones count once"
    )
    run.add_argument(
        "-o",
        "--output",
        required=True,
        type=_place,
        metavar="FILE_OR_FOLDER",
        help="where results go: a folder if it is one, ends with / or there are several inputs, else a file",
    )
    run.add_argument(
        "-p",
        "--parameter",
        action="append",
        default=[],
        dest="parameters",
        metavar="NAME=VALUE",
        help="set a parameter, as the provider's page writes it; repeatable (see `remote-upscale models`)",
    )
    run.add_argument(
        "--sandbox", action="store_true", help="use the embedded sandbox: no key, no network, no cost"
    )
    run.add_argument(
        "--dry-run", action="store_true", help="send nothing; check, and print the expected size and cost"
    )
    run.add_argument(
        "--no-reuse",
        action="store_true",
        help="order and pay again, even if there is a result for the same content and parameters",
    )


def _add_fetch(add_parser: _Add) -> None:
    fetch = _add(
        add_parser, "fetch", "bring the result of a job that was ordered elsewhere, by its request id"
    )
    fetch.epilog = _EXIT_STATUS
    fetch.add_argument("model", metavar="MODEL", help="the id of the model that the job was ordered from")
    fetch.add_argument("request_id", metavar="REQUEST_ID", help="the provider's id of the job")
    fetch.add_argument(
        "-o",
        "--output",
        required=True,
        type=_place,
        metavar="FILE_OR_FOLDER",
        help="where the result goes: a folder if it is one or ends with /, else a file",
    )


def _add_jobs(add_parser: _Add) -> None:
    jobs = _add(add_parser, "jobs", "list the jobs of the ledger, newest first")
    states = [state.value for state in JobState]
    jobs.add_argument(
        "--state",
        action="append",
        default=[],
        choices=states,
        metavar="STATE",
        help=f"only those in this state; may be given more than once: {', '.join(states)}",
    )
    jobs.add_argument("--model", metavar="MODEL", help="only those of this model")
    jobs.add_argument(
        "--since", type=_day, metavar="YYYY-MM-DD", help="only those made on this day (UTC) or later"
    )
    instead = jobs.add_mutually_exclusive_group()
    instead.add_argument(
        "--csv",
        type=_month,
        metavar="YYYY-MM",
        help="instead, export what was spent in a month (UTC) as CSV",
    )
    instead.add_argument(
        "--prune",
        action="store_true",
        help="instead, remove finished jobs older than 90 days, and stored results that no job needs",
    )


def _place(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; give a file, or a folder such as results/")
    return text


def _day(text: str) -> datetime:
    return _date(text, "%Y-%m-%d", "a day is written as 2026-03-31")


def _month(text: str) -> datetime:
    return _date(text, "%Y-%m", "a month is written as 2026-03")


def _date(text: str, form: str, advice: str) -> datetime:
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(advice) from None


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return number
