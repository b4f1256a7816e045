"""What a ledger of 10,000 jobs adds to the next one, and what a reused 4096² result takes against making it.

The provider is the sandbox without any delay, in another process, and is asked at once whether a job is done:
what is measured is this project's own work. Jobs with the empty and with the full ledger take turns, and
medians are compared; so do the two engines that have the same ledger, whose ratio shows how sure that is.
"""

from __future__ import annotations

import asyncio
import hashlib
import statistics
import sys
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from goals import at_least, at_most
from PIL import Image
from remote_upscale.api_clients.engine import Engine, Job, Outcome
from remote_upscale.api_clients.files.atomic_write import create_partial, discard, move_into_place
from remote_upscale.api_clients.ledger import Ledger
from remote_upscale.api_clients.ledger.schema import contents, jobs, results
from remote_upscale.api_clients.providers.base import Handle
from remote_upscale.api_clients.registry import find_model
from remote_upscale.api_clients.settings import Secret, Settings
from remote_upscale.api_clients.states import JobState
from sandbox_process import sandbox_process
from sqlalchemy import insert, text

ROWS = 10_000
TURNS = 60
MOST_ADDED = 1.05
SIDE = 4096
REUSES = 15
GOAL = 50.0
MODEL = replace(find_model("fal/seedvr2-image"), first_poll=0)
PARAMETERS: Mapping[str, object] = {"upscale_factor": 4, "output_format": "png"}


def main() -> None:
    """Measure and print tables."""
    with TemporaryDirectory() as name, sandbox_process(seconds=0) as environment:
        folder = Path(name)
        settings = replace(Settings.load(environment, home=folder), poll_floor=0.005, budget=Decimal(10**6))
        measure_ledgers(settings, folder)
        asyncio.run(measure_reuse(settings, folder))


def measure_ledgers(settings: Settings, folder: Path) -> None:
    """The first table."""
    print(f"{f'one job with {ROWS:,} others in':<32}{'empty':>10}{'full':>12}{'twice empty':>14}{'limit':>8}")
    for title, two in databases(folder):
        at = [replace(settings, ledger_url=Secret(url)) for url in two]
        fill(two[1])
        empty, again, full = asyncio.run(take_turns([at[0], at[0], at[1]], folder))
        ratio = full / empty
        goal = at_most(MOST_ADDED, f"one job with {ROWS:,} others in {title}", ratio, "x")
        print(
            f"{title:<32}{empty * 1e3:>7.1f} ms{ratio:>11.3f}x{again / empty:>13.3f}x{MOST_ADDED:>7.2f}x"
            f"  {goal.verdict}",
            flush=True,
        )


def databases(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Two empty databases of each kind that there is, as SQLAlchemy URLs."""
    yield "SQLite", [f"sqlite:///{folder / name}.sqlite" for name in ("empty", "full")]
    with postgresql() as two:
        if two:
            yield "PostgreSQL", two


@contextmanager
def postgresql() -> Generator[list[str]]:
    """Two databases on a server that the tests can start; none where it, or pytest, is not installed."""
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
    with ExitStack() as stack:
        urls: list[str] = []
        try:
            from postgresql_server import NotInstalled, find_programs, serve  # noqa: PLC0415
        except ImportError:
            print("PostgreSQL: not measured, as the packages for tests are not installed")
        else:
            try:
                server = stack.enter_context(serve(find_programs()))
                urls = [server.create(), server.create()]
            except NotInstalled as missing:
                print(f"PostgreSQL: not measured. {missing}")
        yield urls


def fill(url: str) -> None:
    """Put completed jobs into a ledger, half of them of this month, with their results and inputs."""
    ledger = Ledger(url)
    now = datetime.now(UTC)
    rows = [completed(number, now - timedelta(days=40 * (number % 2))) for number in range(ROWS)]
    with ledger.database.transaction() as connection:
        connection.execute(insert(jobs), rows)
        connection.execute(
            insert(results),
            [{"sha256": row["result_sha256"], "bytes": 1000, "used": row["created"]} for row in rows],
        )
        connection.execute(
            insert(contents),
            [{"file": word(f"f{n}"), "content": word(f"c{n}"), "seen": now} for n in range(ROWS)],
        )
    if ledger.database.file is None:
        tidy(ledger)
    ledger.close()


def tidy(ledger: Ledger) -> None:
    """What PostgreSQL does by itself within a minute, and again and again while a ledger grows."""
    rest = text("SELECT relpages - relallvisible FROM pg_class WHERE relname = 'jobs'")
    with ledger.database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text("VACUUM (ANALYZE)"))
        while connection.scalar(rest):  # what was written just now is left to the next turn
            time.sleep(0.2)
            connection.execute(text("VACUUM (ANALYZE)"))


def completed(number: int, at: datetime) -> dict[str, object]:
    """A job as it stands in the ledger in the end."""
    root = "https://queue.fal.run/fal-ai/seedvr/requests"
    handle = Handle("fal", MODEL.id, f"r-{number}", f"{root}/r-{number}/status", f"{root}/r-{number}", None)
    return {
        "id": f"{number:024x}",
        "model": MODEL.id,
        "digest": word(f"c{number}"),
        "identity": word(f"i{number}"),
        "parameters": dict(PARAMETERS),
        "source": f"/pictures/{number}.png",
        "destination": f"/results/{number}.png",
        "sandbox": False,
        "state": JobState.COMPLETED,
        "account": "a" * 16,
        "request_id": handle.request_id,
        "handle": handle,
        "link": word(f"l{number}"),
        "cost": Decimal(number % 500) / 1000,
        **dict.fromkeys(("created", "sent", "submitted", "stored", "finished"), at),
        "result_path": f"/results/{number}.png",
        "result_sha256": word(f"r{number}"),
        "result_bytes": 1000,
        "width": 64,
        "height": 64,
    }


def word(of: str) -> str:
    """A digest."""
    return hashlib.sha256(of.encode()).hexdigest()


async def take_turns(settings: list[Settings], folder: Path) -> list[float]:
    """Median seconds of a job in each of the engines."""
    times: list[list[float]] = [[] for _ in settings]
    async with AsyncExitStack() as stack:
        engines = [await stack.enter_async_context(Engine.open(one)) for one in settings]
        for turn in range(-3, TURNS):  # the first ones warm up
            order = list(zip(engines, times, strict=True))
            for engine, taken in order if turn % 2 else reversed(order):
                seconds, _ = await run(engine, new_picture(folder, 16))
                if turn >= 0:
                    taken.append(seconds)
    return [statistics.median(taken) for taken in times]


_numbers = count()


def new_picture(folder: Path, side: int) -> Path:
    """A picture that was never seen before: smooth, with a little grain."""
    number = next(_numbers)
    path = folder / f"{number}.png"
    y, x = np.mgrid[0:side, 0:side] * (255 / side)
    grain = np.random.default_rng(number).normal(0, 3, (side, side, 3))
    pixels = np.stack([x, y, (x + y) / 2], axis=-1) + grain
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path


async def run(engine: Engine, source: Path) -> tuple[float, Outcome]:
    """Seconds that a job takes, and its outcome."""
    job = Job(model=MODEL, parameters=PARAMETERS, source=source, destination=source.with_suffix(".out.png"))
    began = time.perf_counter()
    outcome = await engine.run(job)
    return time.perf_counter() - began, outcome


async def measure_reuse(settings: Settings, folder: Path) -> None:
    """The second table."""
    made: list[float] = []
    reused: list[float] = []
    floor: list[float] = []
    size = 0
    async with Engine.open(settings) as engine:
        for _ in range(3):
            source = new_picture(folder, SIDE // 4)
            seconds, outcome = await run(engine, source)
            assert not outcome.reused
            assert outcome.width == SIDE
            made.append(seconds)
            for _ in range(REUSES // 3):
                outcome.path.unlink()
                seconds, again = await run(engine, source)
                assert again.reused
                reused.append(seconds)
                floor.append(least(outcome.path, folder / "floor.png"))
            size = outcome.path.stat().st_size
    making, reusing, least_ = map(statistics.median, (made, reused, floor))
    goal = at_least(GOAL, f"a reused result of {SIDE}², against making it", making / reusing, "x")
    title = f"a result of {SIDE}² ({size / 1e6:.0f} MB)"
    print(f"{title:<32}{'made':>10}{'reused':>12}{'ratio':>14}{'goal':>8}")
    print(
        f"{'':<32}{making:>8.2f} s{reusing * 1e3:>9.0f} ms{making / reusing:>13.1f}x{GOAL:>7.0f}x"
        f"  {goal.verdict}"
    )
    print(f"{'hash, copy and sync alone':<42}{least_ * 1e3:>9.0f} ms{making / least_:>13.1f}x")


def least(source: Path, destination: Path) -> float:
    """Seconds for what cannot be left out: hash the bytes, copy them, and have them on the disk."""
    began = time.perf_counter()
    partial = create_partial(destination)
    try:
        data = source.read_bytes()
        hashlib.sha256(data).hexdigest()
        partial.write_bytes(data)
        move_into_place(partial, destination)
    finally:
        discard(partial)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
