"""Several processes with the same inputs pay for each of them once."""

import asyncio
import json
import os
import sys
from collections import Counter

import pytest
from remote_upscale.api_clients.registry import MODELS, ROOTS
from remote_upscale.api_clients.sandbox import Delays, Sandbox

MODEL = "apixo/image-upscaler"
INPUTS = 50


@pytest.fixture
def inputs(draw, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(INPUTS):
        draw((16 + index, 16)).save(folder / f"{index:02}.png")
    return folder


@pytest.fixture
def environment(tmp_path):
    """Of a user with one key, whose home all processes share."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REMOTE_UPSCALE_")}
    return kept | {"REMOTE_UPSCALE_HOME": str(tmp_path / "home"), "APIXO_API_KEY": "key", "FAL_KEY": "key"}


async def run_all(count, inputs, environment):
    """So many processes at once, each with all inputs and a folder of its own: what they print."""
    async with Sandbox(MODELS.values(), delays=Delays(queue=0, run=0)) as sandbox:
        roots = {ROOTS[name].variable: url for name, url in sandbox.roots.items()}
        outputs = [inputs.parent / f"out{number}" for number in range(count)]
        runs = [_run(inputs, output, environment | roots) for output in outputs]
        async with asyncio.timeout(120):
            printed = await asyncio.gather(*runs)
        return sandbox.jobs, outputs, [entry for entries in printed for entry in entries]


async def _run(inputs, output, environment):
    files = [str(path) for path in sorted(inputs.iterdir())]
    command = [
        "-m",
        "remote_upscale",
        "run",
        MODEL,
        *files,
        "-o",
        f"{output}/",
        "-p",
        "resolution=2k",
        "--json",
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode in (0, 1), err.decode()
    return [json.loads(line) for line in out.splitlines()]


def check(jobs, outputs, printed, count):
    assert len(jobs) == INPUTS
    assert [entry["error"] for entry in printed if entry["state"] != "completed"] == []
    paid = Counter(entry["input"] for entry in printed if not entry["reused"])
    assert len(paid) == INPUTS
    assert set(paid.values()) == {1}
    assert len(printed) == INPUTS * count
    for name in (path.name for path in outputs[0].iterdir()):
        assert len({(output / name).read_bytes() for output in outputs}) == 1
    assert all(len(list(output.iterdir())) == INPUTS for output in outputs)


@pytest.mark.parametrize("count", [2, 8])
async def test_processes_of_one_machine(inputs, environment, count):
    check(*await run_all(count, inputs, environment), count)


async def test_machines_that_share_a_server_and_an_object_store(
    inputs, environment, postgresql_url, s3_url, s3_environment
):
    shared = {"REMOTE_UPSCALE_LEDGER_URL": postgresql_url, "REMOTE_UPSCALE_RESULTS_URL": s3_url}
    check(*await run_all(3, inputs, environment | s3_environment | shared), 3)
    assert not (inputs.parent / "home" / "ledger.sqlite").exists()
    assert not (inputs.parent / "home" / "results").exists()


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
async def test_the_budget_is_held_by_all_of_them_together(inputs, environment, where, request):
    if where == "postgresql":
        environment |= {"REMOTE_UPSCALE_LEDGER_URL": request.getfixturevalue("postgresql_url")}
    capped = environment | {"REMOTE_UPSCALE_BUDGET_USD": "0.20"}  # one costs $0.01
    jobs, _, printed = await run_all(4, inputs, capped)
    assert len(jobs) == 20
    kinds = Counter(entry["error"]["kind"] for entry in printed if entry["state"] == "failed")
    assert set(kinds) == {"budget"}
    assert sum(not entry["reused"] for entry in printed if entry["state"] == "completed") == 20
