"""The help page of every node, in every language, tells what the code does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import remote_upscale.nodes
from PIL import Image
from remote_upscale.api_clients.parameters import Number
from remote_upscale.api_clients.registry import MODELS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "web" / "docs"
OTHER_NODES = ("RemoteUpscaleOptions", "RemoteUpscaleVideoToFrames", "RemoteUpscaleFramesToVideo")
NODES = [*(model.node_id for model in MODELS.values()), *OTHER_NODES]
SMALL = 1_500_000
"""Bytes that all pictures together may have: whoever installs the pack gets them."""


def english(node):
    """ComfyUI asks for the language's own page first, and then for this one."""
    return DOCS / f"{node}.md"


def chinese(node):
    return DOCS / node / "zh.md"


def pages():
    return [page(node) for node in NODES for page in (english, chinese)]


def name(path):
    return str(path.relative_to(DOCS))


@pytest.fixture(scope="module")
def generator():
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import help_pages
    finally:
        sys.path.remove(str(ROOT / "tools"))
    return help_pages


def test_the_pages_are_those_of_the_nodes_in_both_languages():
    assert sorted(DOCS.rglob("*.md")) == sorted(pages())


def test_every_page_is_current(generator):
    stale = [name(path) for path in generator.outdated(generator.pages())]
    assert stale == [], "run tools/help_pages.py"


def test_the_check_names_a_page_that_is_not_current(generator, tmp_path, monkeypatch):
    wanted = {tmp_path / "A.md": "as it is", tmp_path / "B.md": "as it should be", tmp_path / "C.md": "new"}
    (tmp_path / "A.md").write_text("as it is")
    (tmp_path / "B.md").write_text("as it was")
    (tmp_path / "Gone.md").write_text("of a node that there is not")
    monkeypatch.setattr(generator, "PAGES", tmp_path)
    assert [path.name for path in generator.outdated(wanted)] == ["B.md", "C.md", "Gone.md"]


def test_reading_the_schemas_leaves_no_trace(generator):
    """ComfyUI's modules are only pretended while the schemas are read."""
    generator.nodes()
    loaded, members = dict(sys.modules), dict(vars(remote_upscale.nodes))
    generator.nodes.cache_clear()
    assert [*generator.nodes()] == NODES
    assert sys.modules == loaded
    assert vars(remote_upscale.nodes) == members


@pytest.mark.parametrize("page", [english, chinese])
@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.id)
def test_a_page_tells_every_parameter(model, page):
    text = page(model.node_id).read_text("utf-8")
    rows = dict(re.findall(r"^- \*\*`(\w+)`\*\*(.*)$", text, re.MULTILINE))
    assert [p.name for p in model.parameters if p.name not in rows] == []
    for parameter in model.parameters:
        if parameter.only_with is not None:
            other, value = parameter.only_with
            assert f"`{other}` = `{value}`" in rows[parameter.name]
        if isinstance(parameter, Number):
            assert re.search(rf"\W{parameter.minimum:g} – {parameter.maximum:g}\b", rows[parameter.name])
        for choice in getattr(parameter, "choices", ()):
            assert f"`{choice}`" in rows[parameter.name]
        # Nothing is to be lost on the way to a tensor, whatever the provider's own default.
        lossless = parameter.name == "output_format" and "png" in getattr(parameter, "choices", ())
        default = "png" if lossless else parameter.default
        if isinstance(default, str):
            assert re.search(f"(default|默认) `{re.escape(default)}`", rows[parameter.name])


@pytest.mark.parametrize("page", [english, chinese])
@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.id)
def test_a_page_tells_what_a_job_costs_and_what_the_model_takes(model, page):
    text = page(model.node_id).read_text("utf-8")
    amounts = re.findall(r"\$[\d.]+\d", model.price.words)
    assert [amount for amount in amounts if amount not in text] == []
    assert [form for form in model.limits.formats if form.upper() not in text.upper()] == []
    if model.limits.max_bytes is not None:
        assert f"{model.limits.max_bytes / 1e6:g} MB" in text


@pytest.mark.parametrize("path", pages(), ids=name)
def test_a_page_s_pictures_are_here(path):
    """ComfyUI puts the address of ``docs`` before them, also on a page in a folder below it."""
    text = path.read_text("utf-8")
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert pictures
    assert "<img" not in text
    assert re.findall(r"!\[[^\]]*\]\((?:\w+:|/)", text) == []
    for picture in pictures:
        with Image.open(DOCS / picture) as opened:
            opened.load()
            assert opened.width >= 500


def test_the_pictures_are_small_and_all_are_shown():
    files = list((DOCS / "pictures").iterdir())
    shown = "".join(path.read_text("utf-8") for path in pages())
    assert [file.name for file in files if f"pictures/{file.name}" not in shown] == []
    assert sum(file.stat().st_size for file in files) < SMALL


@pytest.mark.parametrize("path", [page(node) for node in NODES[:8] for page in (english, chinese)], ids=name)
def test_a_picture_of_the_sandbox_is_said_to_be_one(path):
    caption = re.search(r"^\*.*Lanczos.*\*$", path.read_text("utf-8"), re.MULTILINE)
    assert caption
    assert "sandbox" in caption[0] or "沙盒" in caption[0]


@pytest.mark.parametrize("path", pages(), ids=name)
def test_nothing_is_left_unfilled(path):
    assert "{{" not in path.read_text("utf-8")


def test_the_program_says_that_all_is_current():
    program = [sys.executable, ROOT / "tools" / "help_pages.py", "--check"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
