"""The README tells what the code does."""

import re
from pathlib import Path

import pytest
from remote_upscale.api_clients.parameters import Choice, Integer
from remote_upscale.api_clients.registry import MODELS, PROVIDERS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def names_of_sizing(model):
    """The parameters that the model's sizing uses: those it looks at, whatever they are called."""
    asked = set()

    class Values(dict):
        def get(self, name, default=None):
            asked.add(name)
            return super().get(name, default)

        def __getitem__(self, name):
            asked.add(name)
            return super().__getitem__(name)

    defaults = {p.name: p.default for p in model.parameters if p.default is not None}
    ways = [{}]
    for parameter in model.parameters:
        other = parameter.only_with
        value = parameter.default or getattr(parameter, "minimum", None)
        ways.append({parameter.name: value} if other is None else {other[0]: other[1], parameter.name: value})
    for way in ways:
        given = {name: value for name, value in (defaults | way).items() if value is not None}
        model.sizing.expect(Values(given), (64, 64))
    return asked


def sizes(model):
    """The sizes a model can be asked for, in words."""
    ways, pixels = [], []
    used = names_of_sizing(model)
    for parameter in model.parameters:
        if parameter.name not in used:
            continue
        if isinstance(parameter, Choice):
            if parameter.name not in {p.only_with[0] for p in model.parameters if p.only_with}:
                ways.append(parameter.allowed)
        elif parameter.default is None and isinstance(parameter, Integer):
            pixels.append(f"{parameter.minimum} to {parameter.maximum} pixels a side")
        else:
            ways.append(parameter.allowed.removeprefix("a number from ") + " ×")
    return "; ".join([*ways, *dict.fromkeys(pixels)])


def row(model):
    """The model's row of the table, from its declaration."""
    size = "–" if model.limits.max_bytes is None else f"{model.limits.max_bytes / 1e6:g} MB"
    cells = (f"`{model.id}`", sizes(model), ", ".join(model.limits.formats), size, model.price.words)
    return f"| {' | '.join(cells)} |"


def rows():
    return re.findall(r"^\| `\w+/[\w-]+` \|.*$", README, re.MULTILINE)


def test_it_is_short():
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.id)
def test_the_table_of_models_agrees_with_the_registry(model):
    assert row(model) in rows()


def test_the_table_has_no_other_models():
    assert len(rows()) == len(MODELS)


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=lambda provider: provider.name)
def test_every_provider_s_key_has_its_row(provider):
    assert f"| `{provider.key_variable}` | {provider.title}" in README


def test_it_shows_a_picture_that_is_here():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert pictures
    assert [picture for picture in pictures if not (ROOT / picture).is_file()] == []


def test_every_page_of_the_documentation_is_linked():
    pages = [f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")]
    assert pages
    assert [page for page in pages if f"]({page})" not in README] == []
