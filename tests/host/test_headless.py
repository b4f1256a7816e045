"""The programs of ``examples/`` that queue a workflow, against a real ComfyUI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import av
import faults as faulty
import pytest
from comfyui_graphs import CRYSTAL, draw
from comfyui_server import nodes
from PIL import Image

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
WORKFLOWS = ROOT / "example_workflows" / "api"
NEEDS = {"py": (), "sh": ("sh", "curl", "jq")}


@pytest.fixture(params=NEEDS)
def program(request, comfyui):
    """Runs one of the two programs."""
    missing = [tool for tool in NEEDS[request.param] if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    script = str(EXAMPLES / f"queue_workflow.{request.param}")
    command = [sys.executable, script] if request.param == "py" else ["sh", script]

    def run(workflow, output, *arguments, server=comfyui.url):
        return subprocess.run(
            [*command, str(workflow), str(output), "--server", server, *map(str, arguments)],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "NO_PROXY": "*", "no_proxy": "*"},
        )

    run.kind = request.param
    return run


@pytest.fixture
def workflow(tmp_path):
    """Writes a workflow into a file."""

    def write(**named):
        path = tmp_path / "workflow.json"
        path.write_text(json.dumps(nodes(**named)), "utf-8")
        return path

    return write


def crystal(picture):
    return {
        "load": ("LoadImage", {"image": picture}),
        "up": ("RemoteUpscalePixazoCrystalImage", {"image": ("load", 0), **CRYSTAL}),
        "save": ("SaveImage", {"images": ("up", 0), "filename_prefix": "folder/head less"}),
    }


def test_a_picture_of_ones_own_goes_through_an_example_workflow(program, comfyui, tmp_path, charged):
    picture = tmp_path / f"my own, {program.kind}.png"
    draw(comfyui, f"own {program.kind}").rotate(180).save(picture)
    done = program(WORKFLOWS / "image-crystal-pixazo.json", tmp_path / "made", "--input", picture)
    assert done.returncode == 0, done.stderr
    [path] = map(Path, done.stdout.splitlines())
    assert path.parent == tmp_path / "made"
    with Image.open(path) as result, Image.open(picture) as source:
        expected = source.resize(result.size, Image.Resampling.LANCZOS)
        assert result.size == (96, 64)
        # The sandbox's Lanczos is Pillow's.
        assert result.convert("RGB").tobytes() == expected.tobytes()
    assert charged() == 1
    # HTTP alone does not tell the nodes' words.
    assert program.kind == "sh" or "Crystal Image (Pixazo): done: $0.07" in done.stderr


def test_a_clip_of_ones_own_goes_through_an_example_workflow(program, tmp_path):
    done = program(
        WORKFLOWS / "video-topaz-pixazo.json",
        tmp_path / "made",
        "--input",
        ROOT / "demo" / "media" / "cat.mp4",
    )
    assert done.returncode == 0, done.stderr
    [path] = map(Path, done.stdout.splitlines())
    with av.open(str(ROOT / "demo" / "media" / "cat.mp4")) as source, av.open(str(path)) as result:
        assert result.streams.video[0].width == 2 * source.streams.video[0].width
        assert len(result.streams.audio) == 1


def test_a_job_that_fails_is_told_in_one_sentence(program, comfyui, provider, workflow, tmp_path):
    draw(comfyui, f"fails {program.kind}")
    provider.faults.add("submit", faulty.error(401))
    done = program(workflow(**crystal(f"fails {program.kind}.png")), tmp_path / "made")
    assert done.returncode == 1
    assert "RemoteUpscalePixazoCrystalImage: " in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_workflow_that_comfyui_refuses(program, workflow, tmp_path, charged):
    done = program(workflow(**crystal("no such picture.png")), tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("ComfyUI refuses the workflow: LoadImage: ")
    assert "no such picture.png" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert charged() == 0


def test_an_unknown_node(program, workflow, tmp_path):
    done = program(workflow(one=("NoSuchNode", {})), tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("ComfyUI refuses the workflow: ")
    assert "NoSuchNode" in done.stderr


def test_a_part_that_is_left_out_is_a_failure_although_the_rest_is_saved(
    program, comfyui, workflow, tmp_path
):
    draw(comfyui, f"part {program.kind}")
    graph = crystal(f"part {program.kind}.png") | {
        "other": ("LoadImage", {"image": "no such picture.png"}),
        "show": ("PreviewImage", {"images": ("other", 0)}),
    }
    done = program(workflow(**graph), tmp_path / "made")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ComfyUI left out a part of the workflow: LoadImage: ")
    [path] = map(Path, done.stdout.splitlines())
    assert path.is_file()


def test_a_graph_in_the_format_of_the_editor(program, tmp_path):
    path = tmp_path / "editor.json"
    path.write_text(json.dumps({"nodes": [], "links": [], "version": 0.4}), "utf-8")
    done = program(path, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{path} is not in the API format, which File > Export (API) writes in ComfyUI.\n"


def test_a_workflow_that_is_no_json(program, tmp_path):
    path = tmp_path / "words.json"
    path.write_text("words", "utf-8")
    done = program(path, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{path} is not in the API format")


def test_a_workflow_that_is_not_there(program, tmp_path):
    done = program(tmp_path / "missing.json", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{tmp_path / 'missing.json'} cannot be read")


def test_nothing_that_could_load_the_input(program, comfyui, workflow, tmp_path):
    picture = tmp_path / "unused.png"
    draw(comfyui, "unused").save(picture)
    empty = workflow(empty=("EmptyImage", {"width": 8, "height": 8, "batch_size": 1, "color": 0}))
    done = program(empty, tmp_path, "--input", picture)
    assert done.returncode == 1
    assert done.stderr == "The workflow has no node that could load a file: LoadImage or LoadVideo.\n"


def test_no_comfyui_there(program, workflow, tmp_path):
    done = program(workflow(**crystal("any.png")), tmp_path, server="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("ComfyUI cannot be reached at http://127.0.0.1:9")
    assert len(done.stderr.splitlines()) == 1
