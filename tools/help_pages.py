"""Writes ComfyUI's help page of every node, in each language, to ``web/docs``.

``.venv/bin/python tools/help_pages.py`` writes them; with ``--check`` it writes nothing, names the pages that
are not current, and ends with status 1 if there are any.

The prose is in ``tools/help/<language>``, one file for each node, and in its folder ``shared`` what several
pages say. ``{{name}}`` in there is replaced by a derived part (see ``_derived``) or by a shared piece. The
tables, prices and limits come from the declarations of models and nodes, translated by ``locales``.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from help import tables
from help.schemas import Node, nodes
from help.shots import OPTIONS, SHOTS
from help.words import ENGLISH, LANGUAGES, Words
from remote_upscale.api_clients.models import Media, Model
from remote_upscale.api_clients.prices import Unknown
from remote_upscale.api_clients.registry import MODELS, PROVIDERS

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "web" / "docs"
PROSE = Path(__file__).parent / "help"
_GAP = re.compile(r"\n{3,}")
_BLOCK = re.compile(r"\{\{([\w-]+)\}\}")


def main() -> None:
    """Write the pages, or say which are not current."""
    parser = argparse.ArgumentParser(description="Write the help pages of all nodes.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is not current")
    wanted = pages()
    if parser.parse_args().check:
        stale = outdated(wanted)
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not current: run tools/help_pages.py")
        sys.exit(1 if stale else 0)
    for path in outdated(wanted):
        if path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], "utf-8")
        else:
            path.unlink()
        print(path.relative_to(ROOT))


def pages() -> dict[Path, str]:
    """Every page's text by its path."""
    return {place(node.id, words): page(node, words) for node in nodes().values() for words in LANGUAGES}


def outdated(wanted: Mapping[Path, str]) -> list[Path]:
    """Pages that are missing or differ, and files that are no page of any node."""
    there = {path: path.read_text("utf-8") for path in PAGES.rglob("*.md")}
    return sorted(path for path in there.keys() | wanted.keys() if there.get(path) != wanted.get(path))


def place(node_id: str, words: Words) -> Path:
    """Where ComfyUI looks for a page: English is also what all other languages get."""
    return PAGES / f"{node_id}.md" if words is ENGLISH else PAGES / node_id / f"{words.language}.md"


def page(node: Node, words: Words) -> str:
    """A node's page in a language.

    Raises:
        LookupError: its prose names a part that there is not.
    """
    prose = PROSE / words.language
    text = (prose / f"{node.id}.md").read_text("utf-8")
    parts = _derived(node, words)

    def part(name: str) -> str:
        if name in parts:
            return parts[name]()
        shared = prose / "shared" / f"{name}.md"
        if not shared.exists():
            raise LookupError(f"The page of {node.id} in {words.language} names {name}, which there is not.")
        return shared.read_text("utf-8").strip()

    def filled(text: str) -> str:
        return _BLOCK.sub(lambda match: filled(part(match[1])), text)

    return _GAP.sub("\n\n", filled(text))


def _derived(node: Node, words: Words) -> dict[str, Callable[[], str]]:
    parts: dict[str, Callable[[], str]] = {
        "title": lambda: tables.title(node, words),
        "description": lambda: tables.description(node, words),
        "picture": lambda: f"pictures/{node.id}.webp",
        "inputs": lambda: tables.inputs(node, model, words, advanced=False),
        "advanced": lambda: _advanced(node, model, words),
        "advanced-inputs": lambda: tables.inputs(node, model, words, advanced=True),
        "outputs": lambda: tables.outputs(node, words),
        "options": lambda: tables.title(nodes()["RemoteUpscaleOptions"], words),
        "to-frames": lambda: tables.title(nodes()["RemoteUpscaleVideoToFrames"], words),
        "to-video": lambda: tables.title(nodes()["RemoteUpscaleFramesToVideo"], words),
        "settings": lambda: _settings(OPTIONS.shot.parameters, words),
    }
    model = next((one for one in MODELS.values() if one.node_id == node.id), None)
    return parts | _of_model(model, words) if model else parts


def _advanced(node: Node, model: Model | None, words: Words) -> str:
    return "{{advanced-section}}" if tables.inputs(node, model, words, advanced=True) else ""


def _of_model(model: Model, words: Words) -> dict[str, Callable[[], str]]:
    provider = PROVIDERS[model.provider]
    [shot] = [shot for shot in SHOTS if shot.model == model.id]
    caption = "caption-texture" if shot.tiled else f"caption-{model.media}"
    upload = "upload-any" if model.limits.max_bytes is None else "upload-limited"
    private = any(parameter.name == "sync_mode" for parameter in model.parameters)
    return {
        "model": lambda: model.id,
        "provider": lambda: provider.title,
        "facts": lambda: tables.facts(model, words),
        "settings": lambda: _settings(shot.parameters, words),
        "caption": lambda: f"{{{{{caption}}}}}",
        "upload": lambda: f"{{{{{upload}}}}}" if model.media is Media.IMAGE else "",
        "interrupt": lambda: "{{interrupt-cancels}}" if provider.cancels else "{{interrupt-goes-on}}",
        "price-unknown": lambda: f"{words.space}{{{{unpriced}}}}" if isinstance(model.price, Unknown) else "",
        "private": lambda: "{{private-offered}}" if private else "{{private-not-offered}}",
    }


def _settings(parameters: Mapping[str, object], words: Words) -> str:
    return words.comma.join(f"`{name}` {value}" for name, value in parameters.items())


if __name__ == "__main__":
    main()
