import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from remote_upscale.api_clients.cli.arguments import read_arguments


def read(line):
    return read_arguments(line.split())


@pytest.mark.parametrize(
    "line",
    [
        "run m a.png b.png -o out -p x=1 -p y=-2",
        "run m a.png -o out b.png -p x=1 -p y=-2",
        "run -p x=1 -o out m a.png -p y=-2 b.png",
        "run m --output out --parameter x=1 --parameter y=-2 a.png b.png",
    ],
)
def test_options_and_inputs_may_stand_in_any_order(line):
    arguments = read(line)
    assert (arguments.model, arguments.inputs, arguments.output) == ("m", ["a.png", "b.png"], "out")
    assert arguments.parameters == ["x=1", "y=-2"]
    assert (arguments.json, arguments.sandbox, arguments.dry_run, arguments.no_reuse) == (False,) * 4


def test_every_option_of_run():
    arguments = read("run m a -o out --json --sandbox --dry-run --no-reuse")
    assert (arguments.json, arguments.sandbox, arguments.dry_run, arguments.no_reuse) == (True,) * 4


def test_every_option_of_fetch():
    arguments = read("fetch m id-1 -o out --json")
    assert (arguments.model, arguments.request_id, arguments.output) == ("m", "id-1", "out")
    assert arguments.json


@pytest.mark.parametrize(
    "line",
    [
        "",
        "walk",
        "run",
        "run m -o out",
        "run m a.png",
        "run m a.png -o out --fast",
        "run m a.png -o out --js",
        "models a b",
        "jobs extra",
        "sandbox --port 99999",
        "sandbox --port x",
        "fetch m -o out",
        "fetch m id",
        "fetch m id more -o out",
    ],
)
def test_unusable_arguments_have_status_2_and_say_why(cli, line):
    ran = cli(*line.split())
    assert (ran.status, ran.out) == (2, "")
    assert "usage: remote-upscale" in ran.err


@pytest.mark.parametrize("line", ["--help", "run --help", "models --help", "fetch --help", "sandbox --help"])
def test_help_is_no_error(cli, line):
    ran = cli(*line.split())
    assert (ran.status, ran.err) == (0, "")
    assert "usage: remote-upscale" in ran.out


def test_help_and_the_list_of_models_start_without_what_is_heavy():
    program = (
        "import sys; from remote_upscale.api_clients.cli import main\n"
        "assert main(['--help']) == 0 and main(['models']) == 0\n"
        "heavy = {'aiohttp', 'av', 'httpx', 'numpy', 'obstore', 'PIL', 'rich', 'sqlalchemy', 'stamina'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_list_of_jobs_starts_without_network_and_codecs():
    program = (
        "import sys; from remote_upscale.api_clients.cli import main\n"
        "assert main(['jobs']) == 0 and main(['jobs', '--csv', '2026-03']) == 0\n"
        "heavy = {'aiohttp', 'av', 'httpx', 'numpy', 'obstore', 'PIL', 'rich', 'stamina'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("output", ["", " "])
def test_an_empty_output_is_no_folder(cli, output):
    ran = cli("run", "fal/seedvr2-image", "a.png", "-o", output)
    assert (ran.status, ran.out) == (2, "")
    assert "it is empty; give a file, or a folder" in ran.err
    assert cli("fetch", "fal/seedvr2-image", "id-1", "-o", output).status == 2


def test_an_empty_input_is_refused(cli):
    ran = cli("run", "fal/seedvr2-image", "a.png", "", "-o", "out/")
    assert (ran.status, ran.out) == (2, "")
    assert "an input is empty" in ran.err


def test_the_version_is_told(cli):
    ran = cli("--version")
    assert ran.status == 0
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    assert ran.out == f"remote-upscale {project['version']}\n"
