"""OpenCV comes where there is none, and whatever another pack has brought stays as it is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
NAMES = ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python")
SHOW = "import cv2; print(cv2.MADE_BY)"


def test_nothing_that_is_installed_with_the_pack_or_the_package_requires_opencv():
    """A requirement of one distribution overwrites the files of every other one."""
    lines = (ROOT / "requirements.txt").read_text("utf-8")
    assert "opencv" not in lines
    assert PROJECT["project"]["dynamic"] == ["dependencies"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["dependencies"] == {"file": ["requirements.txt"]}


def test_the_extra_asks_for_what_the_script_installs():
    [extra] = PROJECT["project"]["optional-dependencies"]["opencv"]
    least = re.search(r'^LEAST = "([\d.]+)"', (ROOT / "install.py").read_text("utf-8"), re.MULTILINE)
    assert least
    assert extra == f"{NAMES[0]}>={least[1]}"


@pytest.mark.slow
def test_the_package_asks_for_opencv_only_in_its_extras(tmp_path):
    """As the metadata say that are built from a copy of the checkout."""
    for name in ("api_clients", "nodes"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "requirements.txt", "README.md", "LICENSE", "__init__.py", "install.py"):
        shutil.copy(ROOT / file, tmp_path)
    code = "import setuptools.build_meta as b; print(b.prepare_metadata_for_build_wheel('.'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    [metadata] = tmp_path.glob("*.dist-info/METADATA")
    required = re.findall(r"^Requires-Dist: (opencv.*)$", metadata.read_text("utf-8"), re.MULTILINE)
    assert required
    assert [line for line in required if "; extra ==" not in line] == []


def test_the_library_runs_without_opencv():
    found = [str(path) for path in (ROOT / "api_clients").rglob("*.py") if "cv2" in path.read_text("utf-8")]
    assert found == []


def test_without_opencv_comfyui_is_told_what_to_do():
    code = (
        "import asyncio, importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'cv2' else find(name, *more)\n"
        "import remote_upscale\n"
        "asyncio.run(remote_upscale.comfy_entrypoint())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode
    assert "Run install.py in the pack's folder" in done.stderr


class Environment:
    """An empty environment whose pip knows nothing but the wheels in a folder."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self._python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
        self._variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))},
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)

    def run(self, *arguments: str | Path) -> str:
        done = subprocess.run(
            [self._python, *arguments],
            env=self._variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def pip(self, *arguments: str) -> None:
        self.run("-m", "pip", "-q", *arguments)

    def install_ours(self) -> str:
        return self.run(ROOT / "install.py")

    @property
    def opencv(self) -> str:
        return self.run("-c", SHOW)

    @property
    def installed(self) -> set[str]:
        lines = self.run("-m", "pip", "list", "--format=freeze").splitlines()
        return {line for line in lines if line.startswith(("opencv", "numpy"))}


def wheel(folder: Path, name: str, version: str, package: str, *requires: str) -> None:
    """Write a wheel of one module that says what it came from."""
    folder.mkdir(exist_ok=True)
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    files = {
        f"{package}/__init__.py": f"MADE_BY = '{name} {version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {one}\n" for one in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Stand-ins for the four distributions, all with the folder ``cv2``, and for two releases of numpy."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in NAMES:
        wheel(folder, name, "4.9", "cv2", "numpy>=1")
        wheel(folder, name, "5.0", "cv2", "numpy>=2")
    for version in ("1.26", "2.3"):
        wheel(folder, "numpy", version, "numpy")
    return folder


@pytest.fixture
def environment(tmp_path, wheels):
    return Environment(tmp_path / "environment", wheels)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_what_another_pack_has_brought_stays_as_it_is(environment, name):
    environment.pip("install", f"{name}==4.9")
    before = environment.installed
    assert "nothing was changed" in environment.install_ours()
    assert environment.installed == before
    assert environment.opencv == f"{name} 4.9"


@pytest.mark.slow
def test_it_comes_where_there_is_none_and_another_pack_s_may_follow(environment):
    environment.install_ours()
    assert environment.opencv == "opencv-python-headless 5.0"
    environment.pip("install", "opencv-python")
    assert environment.opencv == "opencv-python 5.0"
    before = environment.installed
    environment.install_ours()
    assert environment.installed == before


@pytest.mark.slow
def test_the_numpy_that_is_there_stays(environment):
    environment.pip("install", "numpy==1.26")
    environment.install_ours()
    assert environment.installed == {"numpy==1.26", "opencv-python-headless==4.9"}


@pytest.mark.slow
def test_what_an_uninstallation_of_another_one_took_away_is_put_back(environment):
    environment.pip("install", "opencv-python-headless==4.9", "opencv-python==4.9")
    environment.pip("uninstall", "-y", "opencv-python-headless")
    environment.install_ours()
    assert environment.opencv == "opencv-python 4.9"
    assert "opencv-python-headless" not in " ".join(environment.installed)
