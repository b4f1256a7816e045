"""``make demo`` is done whatever ComfyUI is there."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "demo" / "media" / "cat.png"


@pytest.fixture
def run_workflow(monkeypatch, tmp_path):
    """The last step of the demo."""
    monkeypatch.syspath_prepend(str(ROOT / "demo"))
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path / "ComfyUI"))
    from in_comfyui import run_workflow

    yield lambda: run_workflow(PICTURE, tmp_path / "results", {"PATH": ""})
    sys.modules.pop("in_comfyui", None)


def fake(tmp_path, code):
    """A ComfyUI of one line."""
    folder = tmp_path / "ComfyUI"
    folder.mkdir()
    (folder / "main.py").write_text(code)
    return folder


def test_a_comfyui_that_does_not_start_is_skipped_in_one_line(run_workflow, tmp_path, capsys):
    folder = fake(tmp_path, "import sys; print('The GPU is on fire.'); sys.exit(1)")
    run_workflow()
    skipped = f"  skipped: the ComfyUI in {folder} does not start: The GPU is on fire.\n"
    assert capsys.readouterr().out.endswith(f".json\n{skipped}")


def test_one_that_ends_without_a_word_is_skipped_too(run_workflow, tmp_path, capsys):
    folder = fake(tmp_path, "raise SystemExit(1)")
    run_workflow()
    assert capsys.readouterr().out.endswith(f"  skipped: the ComfyUI in {folder} does not start.\n")


def test_none_is_skipped_with_how_to_get_one(run_workflow, capsys):
    run_workflow()
    assert "skipped: There is no ComfyUI in" in capsys.readouterr().out
