"""What an installation contains."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def folders_of_code():
    for layer in ("api_clients", "nodes"):
        for file in (ROOT / layer).rglob("*.py"):
            yield ".".join(("remote_upscale", *file.parent.relative_to(ROOT).parts))


def test_every_folder_of_code_is_a_listed_package():
    """A package that is not listed is there in the checkout and missing from every wheel."""
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == {"remote_upscale", *folders_of_code()}


def test_every_package_has_an_init_file():
    folders = {ROOT.joinpath(*name.split(".")[1:]) for name in folders_of_code()}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_requirements_have_lower_bounds_only():
    lines = (ROOT / "requirements.txt").read_text("utf-8").split()
    assert lines
    assert [
        line for line in lines if line.count(">=") != 1 or set("<~!=*") & set(line.replace(">=", ""))
    ] == []


def test_the_licence_is_the_declared_one():
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0" in text
    assert "END OF TERMS AND CONDITIONS" in text
