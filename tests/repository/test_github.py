"""What the hosting service reads: workflows and templates."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
TEMPLATES = [file for file in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if file.stem != "config"]


def load(file):
    return yaml.safe_load(file.read_text("utf-8"))


def jobs(file):
    return load(file)["jobs"]


def steps(file):
    return [step for job in jobs(file).values() for step in job.get("steps", ())]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_every_job_runs_somewhere_and_waits_only_for_jobs_that_are_there(file):
    for name, job in jobs(file).items():
        assert ("uses" in job) != ("runs-on" in job), name
        needs = job.get("needs", [])
        assert set([needs] if isinstance(needs, str) else needs) <= set(jobs(file)), name
        for step in job.get("steps", ()):
            assert ("uses" in step) != ("run" in step), step


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_actions_are_pinned_by_a_major_version(file):
    used = [step["uses"] for step in steps(file) if "uses" in step]
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", one)] == []


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_what_a_step_calls_is_there(file):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for step in steps(file):
        commands = step.get("run", "")
        for target in re.findall(r"\bmake ([a-z]+)", commands):
            assert f"\n{target}:" in makefile
        for path in re.findall(r"(?:^|\s)((?:\.ci|tools|tests)/[\w./-]+)", commands):
            assert (ROOT / path).exists(), path


def test_tests_run_on_all_systems_with_all_pythons_and_with_the_oldest_and_newest_dependencies():
    [tests] = [file for file in WORKFLOWS if file.stem == "tests"]
    matrix = jobs(tests)["tests"]["strategy"]["matrix"]
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "windows", "macos"}
    assert matrix["python"] == re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    versions = jobs(tests)["versions"]["strategy"]["matrix"]["include"]
    assert {one["versions"] for one in versions} == {"oldest", "newest"}


def test_a_tag_is_published_only_after_the_tests():
    [publish] = [file for file in WORKFLOWS if file.stem == "publish"]
    assert set(load(publish)[True]) == {"push"}, "YAML reads `on` as true"
    assert set(load(publish)[True]["push"]) == {"tags"}
    found = jobs(publish)
    assert found["tests"]["uses"] == "./.github/workflows/tests.yml"
    for name in ("build", "registry"):
        assert {"tests", "version"} <= set(found[name]["needs"])
    assert found["pypi"]["permissions"] == {"id-token": "write"}
    assert found["pypi"]["needs"] == "build"


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.stem)
def test_issue_templates_are_whole(file):
    template = load(file)
    assert template["name"]
    assert template["description"]
    ids = [part["id"] for part in template["body"] if part["type"] != "markdown"]
    assert ids
    assert len(ids) == len(set(ids))
    assert all(part["attributes"].get("label") for part in template["body"] if part["type"] != "markdown")
