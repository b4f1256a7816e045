"""What the registry of ComfyUI nodes is told, and what its archive holds."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
COMFY = PROJECT["tool"]["comfy"]
REPOSITORY = PROJECT["project"]["urls"]["Repository"]
LEFT_OUT = [
    line for line in (ROOT / ".comfyignore").read_text("utf-8").splitlines() if line and line[0] != "#"
]
NEEDED = [
    "LICENSE",
    "README.md",
    "__init__.py",
    "api_clients",
    "example_workflows",
    "install.py",
    "locales",
    "nodes",
    "pyproject.toml",
    "requirements.txt",
    "web",
]


def picture(name):
    """The file in this repository that a link of the registry's page stands for."""
    raw = REPOSITORY.replace("https://github.com/", "https://raw.githubusercontent.com/") + "/main/"
    assert COMFY[name].startswith(raw)
    return Image.open(ROOT / COMFY[name].removeprefix(raw))


def test_the_registry_is_told_all_it_asks_for():
    assert COMFY["PublisherId"] == REPOSITORY.split("/")[-2]
    assert COMFY["DisplayName"] == "Remote Upscale"
    assert re.fullmatch(r">=\d+\.\d+\.\d+", COMFY["requires-comfyui"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", PROJECT["project"]["version"])
    # The browser would load its scripts twice: ComfyUI takes the folder from WEB_DIRECTORY already.
    assert "web" not in COMFY


def test_classifiers_are_such_as_the_registry_reads():
    """Whatever else says "Environment" makes it drop them all."""
    classifiers = PROJECT["project"]["classifiers"]
    assert "Operating System :: OS Independent" in classifiers
    assert [one for one in classifiers if one.startswith("Environment ::")] == []


def test_the_icon_is_a_square_of_the_size_that_is_allowed():
    with picture("Icon") as icon:
        assert icon.size == (400, 400)
        assert icon.convert("RGBA").getpixel((0, 0))[3] == 0, "the corners are round"


def test_the_banner_is_21_by_9():
    with picture("Banner") as banner:
        assert banner.width * 9 == banner.height * 21


def test_only_whole_entries_of_the_root_are_left_out_and_all_are_there():
    """So that the other tests here need no other reading of the patterns than by name."""
    for pattern in LEFT_OUT:
        assert re.fullmatch(r"/[^/*?\[\]]+/?", pattern), pattern
        path = ROOT / pattern.strip("/")
        assert path.is_dir() if pattern.endswith("/") else path.is_file(), pattern


@pytest.mark.parametrize("name", NEEDED)
def test_what_is_needed_is_in_the_archive(name):
    assert (ROOT / name).exists()
    assert name not in {pattern.strip("/") for pattern in LEFT_OUT}


def test_the_pack_works_without_what_is_left_out(tmp_path):
    """From a folder of any name, all modules but those of the nodes can be imported, which need ComfyUI."""
    pack = tmp_path / "Some.Other-Name"
    pack.mkdir()
    shutil.copy(ROOT / "__init__.py", pack)
    for folder in ("api_clients", "nodes"):
        shutil.copytree(ROOT / folder, pack / folder, ignore=shutil.ignore_patterns("__pycache__"))
    code = f"""
import importlib, importlib.util, sys
spec = importlib.util.spec_from_file_location("pack", {str(pack / "__init__.py")!r})
sys.modules["pack"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
for name in ("api_clients.engine", "api_clients.cli", "api_clients.sandbox", "nodes.image", "nodes.video"):
    importlib.import_module("pack." + name)
print(*sorted(name for name in sys.modules if name.partition(".")[0] == "remote_upscale"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "", "nothing comes from an installation beside it"
