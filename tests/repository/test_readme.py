"""The README tells what the code does."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from remote_upscale.api_clients.errors import Kind
from remote_upscale.api_clients.registry import MODELS, PROVIDERS
from remote_upscale.api_clients.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def sizes(model):
    """The sizes a model can be asked for, in words."""
    ways = []
    for parameter in model.parameters:
        if parameter.name in ("upscale_factor", "scale_factor"):
            ways.append(parameter.allowed.removeprefix("a number from ") + " ×")
        elif parameter.name in ("target_resolution", "resolution"):
            ways.append(parameter.allowed)
        elif parameter.name == "res_w":
            ways.append(f"{parameter.minimum} to {parameter.maximum} pixels a side")
    return "; ".join(ways)


def row(model):
    """The model's row of the table, from its declaration."""
    size = "–" if model.limits.max_bytes is None else f"{model.limits.max_bytes / 1e6:g} MB"
    cells = (f"`{model.id}`", sizes(model), ", ".join(model.limits.formats), size, model.price.words)
    return f"| {' | '.join(cells)} |"


def rows():
    return re.findall(r"^\| `\w+/[\w-]+` \|.*$", README, re.MULTILINE)


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.id)
def test_the_table_of_models_agrees_with_the_registry(model):
    assert row(model) in rows()


def test_the_table_has_no_other_models():
    assert len(rows()) == len(MODELS)


def test_every_key_variable_is_named():
    assert [kind.name for kind in PROVIDERS.values() if f"`{kind.key_variable}`" not in README] == []


def test_the_example_of_settings_is_a_working_one(tmp_path):
    example = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    assert example
    (tmp_path / "settings.toml").write_text(example[1], "utf-8")
    defaults = Settings(home=tmp_path)
    settings = Settings.load({"REMOTE_UPSCALE_HOME": str(tmp_path)})
    assert settings.at_once != defaults.at_once
    assert settings.time != defaults.time
    assert settings.size != defaults.size


def test_every_link_into_the_repository_leads_somewhere():
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_make_target_named_exists():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = set(re.findall(r"(?:`|    )make ([a-z]+)", README))
    assert {"demo", "test"} <= named
    assert [target for target in named if f"\n{target}:" not in makefile] == []


def test_every_error_kind_is_named():
    assert [kind.value for kind in Kind if f"`{kind.value}`" not in README] == []


def test_the_example_of_the_library_runs(tmp_path):
    """As it is written, in a process of its own, with nothing but the sandbox."""
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)
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
