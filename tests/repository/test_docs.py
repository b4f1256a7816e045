"""What ``docs/`` and the other pages tell is what the code does."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from PIL import Image
from remote_upscale.api_clients.cli import main
from remote_upscale.api_clients.cli.exits import INTERRUPTED
from remote_upscale.api_clients.errors import Kind
from remote_upscale.api_clients.registry import PROVIDERS
from remote_upscale.api_clients.settings import Settings, SizeLimits, TimeLimits
from remote_upscale.api_clients.states import JobState

ROOT = Path(__file__).parents[2]
PAGES = {page.stem: page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md")}
FILES = [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md"), *(ROOT / ".github").rglob("*.md")]
CONFIGURATION, COMMANDS = PAGES["configuration"], PAGES["command-line"]


def first_cells(text):
    """What stands in the first column of all tables, without its marks of code."""
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


def section(page, title):
    """A section of a page, without its heading."""
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def name(path):
    return str(path.relative_to(ROOT))


# Links


def anchor(heading):
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("file", FILES, ids=name)
def test_every_link_into_the_repository_leads_somewhere(file):
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", file.read_text("utf-8")):
        path, _, place = target.partition("#")
        linked = (file.parent / path).resolve() if path else file
        assert linked.exists(), target
        if place:
            headings = re.findall(r"^#+ (.*)$", linked.read_text("utf-8"), re.MULTILINE)
            assert place in map(anchor, headings), target


@pytest.mark.parametrize("file", FILES, ids=name)
def test_every_make_target_named_exists(file):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = set(re.findall(r"(?:`|^    )make ([a-z]+)", file.read_text("utf-8"), re.MULTILINE))
    assert [target for target in named if f"\n{target}:" not in makefile] == []


# Configuration


NO_VARIABLES = {"REMOTE_UPSCALE_OPTIONS"}
"""Has the form of one, but is what ComfyUI calls the type of the run options."""


def variables_of_the_code():
    """Every variable of ours that is named as a whole in the code, and the keys."""
    sources = [file for layer in ("api_clients", "nodes") for file in (ROOT / layer).rglob("*.py")]
    text = "".join(file.read_text("utf-8") for file in sources)
    ours = set(re.findall(r"\bREMOTE_UPSCALE(?:_[A-Z]+)+\b", text))
    return ours - NO_VARIABLES | {provider.key_variable for provider in PROVIDERS.values()}


def test_every_variable_is_in_the_table_and_no_other():
    table = section(CONFIGURATION, "Environment variables")
    assert sorted(first_cells(table)) == sorted(variables_of_the_code())


@pytest.mark.parametrize("file", FILES, ids=name)
def test_no_page_names_a_variable_that_is_not_read(file):
    named = set(re.findall(r"\bREMOTE_UPSCALE(?:_[A-Z]+)+\b", file.read_text("utf-8")))
    invented = {"REMOTE_UPSCALE_MIRABEL_URL"}  # of the provider that CONTRIBUTING invents
    assert named - variables_of_the_code() - invented == set()


def test_the_roots_have_their_defaults():
    roots = [root for provider in PROVIDERS.values() for root in provider.roots]
    missing = [root for root in roots if f"| `{root.variable}` | `{root.default}` |" not in CONFIGURATION]
    assert missing == []


def example():
    """The example of ``settings.toml``."""
    found = re.search(r"```toml\n(at_once.*?)```", CONFIGURATION, re.DOTALL)
    assert found
    return found[1]


def written(key, value):
    """A default as the example writes it."""
    units = {"result_bytes": (1024**3, " GiB"), "store_bytes": (1024**3, " GiB")}
    units |= {"reply_bytes": (1024**2, " MiB"), "pixels": (10**6, " million")}
    size, unit = units.get(key, (1, ""))
    return f"(default {value / size:g}{unit})"


@pytest.mark.parametrize(("table", "limits"), [("time", TimeLimits), ("size", SizeLimits)])
def test_the_example_has_every_limit_with_its_default(table, limits):
    assert set(tomllib.loads(example())[table]) == {spec.name for spec in fields(limits)}
    for spec in fields(limits):
        [line] = re.findall(rf"^{spec.name} = .*$", example(), re.MULTILINE)
        assert line.endswith(written(spec.name, spec.default)), line


def test_the_example_has_every_table_and_is_a_working_one(tmp_path):
    (tmp_path / "settings.toml").write_text(example(), "utf-8")
    defaults = Settings(home=tmp_path)
    settings = Settings.load({"REMOTE_UPSCALE_HOME": str(tmp_path)})
    for name in ("at_once", "time", "size", "budget", "unpriced", "prices", "names_may_lead_to"):
        assert getattr(settings, name) != getattr(defaults, name), name
    given = tomllib.loads(example())
    options = {provider.name: provider.options for provider in PROVIDERS.values() if provider.options}
    assert set(given) == {"at_once", "time", "size", "budget", "prices", "network", *options}
    for provider, declared in options.items():
        assert set(given[provider]) == {option.name for option in declared}
        for option in declared:
            assert f"(default {str(option.default).lower()})" in example()


def test_the_example_of_accounts_is_a_working_one(tmp_path):
    found = re.search(r"```toml\n(\[default\].*?)```", CONFIGURATION, re.DOTALL)
    assert found
    file = tmp_path / "credentials.toml"
    file.write_text(found[1], "utf-8")
    file.chmod(0o600)
    assert set(Settings.load({}, home=tmp_path).keys) == {"fal"}
    assert set(Settings.load({}, home=tmp_path, account="studio").keys) == {"fal", "pixazo"}


def test_every_way_of_hosting_is_told():
    ways = first_cells(section(CONFIGURATION, "Hosting"))
    for way in ways:
        assert Settings.load({"REMOTE_UPSCALE_HOSTING": way}).hosting == way
    with pytest.raises(Exception, match="must be") as refused:
        Settings.load({"REMOTE_UPSCALE_HOSTING": "elsewhere"})
    known = str(refused.value).partition("must be ")[2]
    assert set(re.findall(r"[a-z][a-z-]+", known)) - {"one", "of", "or"} == set(ways)


# The command line


def help_of(*command):
    """What ``--help`` prints."""
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        assert main([*command, "--help"]) == 0
    return shown.getvalue()


def commands():
    """The names of all commands, from the help."""
    return re.findall(r"^    ([a-z]+) ", help_of(), re.MULTILINE)


def options(text):
    """The long options in a text."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)) - {"--help"}


def test_every_command_has_its_section():
    headings = re.findall(r"^## ([a-z]+)$", COMMANDS, re.MULTILINE)
    assert commands()
    assert sorted(headings) == sorted(commands())


@pytest.mark.parametrize("command", re.findall(r"^## ([a-z]+)$", COMMANDS, re.MULTILINE))
def test_every_option_is_told_and_no_other(command):
    text = section(COMMANDS, command)
    usage = re.search(rf"^    remote-upscale {command}.*$", text, re.MULTILINE)
    assert usage
    shown = help_of(command)
    assert options(usage[0]) | ({"--output"} & options(text)) | ({"--parameter"} & options(text)) == options(
        shown.partition("exit status:")[0]
    )
    table = set(re.findall(r"--[a-z-]+", " ".join(re.findall(r"^\| `-.*?\|", text, re.MULTILINE))))
    assert not table or table == options(shown)


def test_every_state_is_told():
    assert first_cells(section(COMMANDS, "jobs"))[-len(JobState) :] == [state.value for state in JobState]


def test_every_exit_status_is_told():
    statuses = re.findall(r"^\| (\d+) \|", section(COMMANDS, "Exit status"), re.MULTILINE)
    assert statuses == ["0", "1", "2", "3", str(INTERRUPTED)]


def test_the_json_output_has_the_fields_that_are_told(tmp_path):
    """As it is written, with nothing but the sandbox."""
    text = section(COMMANDS, "JSON output")
    told = [json.loads(line) for line in re.findall(r"^    (\{.*\})$", text, re.MULTILINE)]
    shutil.copy(ROOT / "demo" / "media" / "cat.png", tmp_path)
    own = {name: value for name, value in os.environ.items() if not name.startswith("REMOTE_UPSCALE_")}
    [line] = re.findall(r"^    \$ (remote-upscale .*)$", text, re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-m", "remote_upscale", *line.split()[1:]],
        cwd=tmp_path,
        env=own | {"REMOTE_UPSCALE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [list(one) for one in printed] == [list(one) for one in told]
    same = ("input", "model", "state", "reused", "cost_usd", "notes", "error")
    assert [{key: one.get(key) for key in same} for one in printed] == [
        {key: one.get(key) for key in same} for one in told
    ]
    assert first_cells(text) == [*list(printed[0]), "error", "dry_run", "width", "height"]


def as_printed(line, folder):
    """A line without what differs from one run to the next."""
    return re.sub(r"[\d.]+ s\b", "N s", line.replace(str(folder), "/home/me")).strip()


def test_the_examples_print_what_they_show(tmp_path):
    """All of the page, in order, in one folder; what is left out at the end of one is marked."""
    for file in ("cat.png", "cat.mp4"):
        shutil.copy(ROOT / "demo" / "media" / file, tmp_path)
    own = {name: value for name, value in os.environ.items() if not name.startswith("REMOTE_UPSCALE_")}
    page = COMMANDS.partition("\n## JSON output\n")[0]
    examples = re.findall(r"^    \$ remote-upscale (.*)\n((?:(?!    \$)(?:    .*)?\n)+)", page, re.MULTILINE)
    assert len(examples) > 4
    for command, shown in examples:
        done = subprocess.run(
            [sys.executable, "-m", "remote_upscale", *command.split()],
            cwd=tmp_path,
            env=own | {"REMOTE_UPSCALE_HOME": str(tmp_path / "home"), "COLUMNS": "120"},
            capture_output=True,
            text=True,
            check=False,
        )
        printed = [as_printed(line, tmp_path) for line in (done.stdout + done.stderr).splitlines()]
        for line in re.findall(r"^    (.+)$", shown, re.MULTILINE):
            assert line.strip() == "…" or as_printed(line, tmp_path) in printed, command


# Errors and the library


def test_every_kind_of_error_has_its_row_with_what_to_do():
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", PAGES["errors"], re.MULTILINE)
    assert [kind for kind, _, _ in rows] == [kind.value for kind in Kind]


def test_the_example_of_the_library_runs(tmp_path):
    """As it is written, in a process of its own, with nothing but the sandbox."""
    example = re.search(r"```python\n(.*?)```", PAGES["library"], re.DOTALL)
    assert example
    shutil.copytree(ROOT / "demo" / "media", tmp_path / "demo" / "media")
    own = {name: value for name, value in os.environ.items() if not name.startswith("REMOTE_UPSCALE_")}
    subprocess.run(
        [sys.executable, "-c", example[1]],
        cwd=tmp_path,
        env=own | {"REMOTE_UPSCALE_HOME": str(tmp_path / "home")},
        check=True,
        timeout=60,
    )
    with Image.open(tmp_path / "cat-4x.png") as result:
        assert result.size == (1804, 1200)


def test_every_extra_for_users_is_told():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    told = re.findall(r"`remote-upscale\[(\w+)\]`", PAGES["library"])
    assert sorted(told) == sorted(set(project["optional-dependencies"]) - {"dev"})


@pytest.mark.parametrize(
    ("command", "words"),
    [("models", ["models"]), ("check", ["check"]), ("jobs --prune", ["jobs", "--prune"])],
)
def test_the_fields_of_other_commands_are_told(command, words, tmp_path):
    text = section(COMMANDS, "JSON output of other commands")
    [row] = [line for line in text.splitlines() if line.startswith(f"| `{command}` |")]
    own = {name: value for name, value in os.environ.items() if not name.startswith("REMOTE_UPSCALE_")}
    done = subprocess.run(
        [sys.executable, "-m", "remote_upscale", *words, "--json"],
        env=own | {"REMOTE_UPSCALE_HOME": str(tmp_path / "home"), "REMOTE_UPSCALE_SANDBOX": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout.splitlines()[0])
    assert [name for name in printed if f"`{name}`" not in row] == []


def test_the_fields_of_a_job_are_told():
    text = section(COMMANDS, "JSON output of other commands")
    [row] = [line for line in text.splitlines() if line.startswith("| `jobs` |")]
    code = (ROOT / "api_clients" / "cli" / "jobs.py").read_text("utf-8").partition("def _document")[2]
    fields = re.findall(r'^        "(\w+)":', code, re.MULTILINE)
    assert len(fields) > 15
    assert [name for name in fields if f"`{name}`" not in row] == []
