"""Writes `example_workflows/`: each workflow as a graph, as an API-format file, and its thumbnail.

It starts a ComfyUI with this pack and lets its frontend, in a browser, build and save every graph. So the
graphs are what a user would save, whatever the frontend's version. Run it after a change of a node or of
`tools/workflows/`:

    .venv/bin/python tools/make_workflows.py [NAME…] [--pictures FOLDER] [--nodes-2]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from remote_upscale.tools.workflows import WORKFLOWS
from remote_upscale.tools.workflows.frontend import Built, Frontend, open_frontend
from remote_upscale.tools.workflows.graph import Workflow
from remote_upscale.tools.workflows.thumbnails import draw_thumbnail

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from comfyui_server import find, serve  # noqa: E402

FOLDER = ROOT / "example_workflows"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description="Makes the example workflows.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="of workflows; all where none is given")
    parser.add_argument(
        "--pictures", type=Path, metavar="FOLDER", help="where to put a picture of every graph"
    )
    parser.add_argument("--nodes-2", action="store_true", help="with Nodes 2.0 in the pictures")
    given = parser.parse_args(arguments)
    wanted = [workflow for workflow in WORKFLOWS if not given.names or workflow.name in given.names]
    with TemporaryDirectory() as base:
        _copy_media(Path(base) / "input")
        with (
            serve(Path(base), {"REMOTE_UPSCALE_SANDBOX": "1"}) as comfyui,
            open_frontend(comfyui.url, {"Comfy.VueNodes.Enabled": given.nodes_2}) as frontend,
        ):
            for workflow in wanted:
                _make(workflow, frontend, given.pictures)
                print(workflow.name)


def _copy_media(folder: Path) -> None:
    """What the workflows name: the frontend marks a graph whose files are not there."""
    (folder / "to-upscale").mkdir(parents=True)
    example = find()[0] / "input" / "example.png"
    shutil.copy(example, folder)
    shutil.copy(example, folder / "to-upscale")
    shutil.copy(ROOT / "demo" / "media" / "cat.mp4", folder / "clip.mp4")


def _make(workflow: Workflow, frontend: Frontend, pictures: Path | None) -> None:
    built = frontend.build(workflow.as_json())
    _write(FOLDER / f"{workflow.name}.json", _settled(workflow.name, built))
    _write(FOLDER / "api" / f"{workflow.name}.json", built.prompt)
    draw_thumbnail(workflow.name, FOLDER / f"{workflow.name}.jpg")
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        frontend.load(built.graph)
        frontend.fit()
        frontend.page.screenshot(path=pictures / f"{workflow.name}.png")


def _settled(name: str, built: Built) -> dict[str, Any]:
    """The graph without what differs from one run to the next."""
    graph = dict(built.graph)
    graph["id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"remote-upscale:{name}"))
    graph["extra"] = {}
    return graph


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
