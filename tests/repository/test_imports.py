"""Imports run one way, and starting costs next to nothing."""

import ast
import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from remote_upscale.api_clients.registry import MODELS, PROVIDERS, ROOTS
from remote_upscale.api_clients.sandbox import Delays, Sandbox

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "api_clients").rglob("*.py"))
NOT_ON_FILES = {
    "torch",
    "torchvision",
    "comfy",
    "comfy_api",
    "comfy_execution",
    "folder_paths",
    "nodes",
    "server",
}
"""What belongs to ComfyUI, and so to the layer above."""


def imported(source):
    """Every imported module, relative ones resolved to the path inside the repository."""
    package = source.parent.relative_to(ROOT).parts
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = [*above, *([node.module] if node.module else [])]
            yield from (".".join([*base, name.name]) for name in node.names)
            assert node.level <= len(package) + 1, f"{source} imports from outside the repository"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_api_clients_import_nothing_of_the_layer_above(source):
    modules = list(imported(source))
    assert [name for name in modules if name.split(".")[0] in NOT_ON_FILES] == []
    assert [name for name in modules if name.split(".")[0] == "remote_upscale"] == [], "use relative imports"


@pytest.mark.parametrize(
    "source", sorted((ROOT / "nodes" / "media").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_conversions_need_no_comfyui(source):
    names = {name.split(".")[0] for name in imported(source)}
    assert names & (NOT_ON_FILES - {"torch", "nodes"}) == set()
    assert "remote_upscale" not in names, "use relative imports"


def loaded_by(code):
    """Top-level names of the modules that a fresh interpreter has loaded after running ``code``."""
    report = "\nimport sys; print('\\n'.join({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_root_loads_nothing_heavy():
    """ComfyUI imports the root at every start."""
    names = loaded_by("import remote_upscale")
    assert "remote_upscale" in names
    assert (
        names
        & {"aiohttp", "asyncio", "av", "httpx", "numpy", "obstore", "PIL", "rich", "sqlalchemy", "torch"}
        == set()
    )


def test_help_loads_no_codec_no_database_and_no_server():
    """``--help`` answers at once."""
    names = loaded_by(
        "import contextlib, io, sys\n"
        "from remote_upscale.api_clients.cli import main\n"
        "sys.argv = ['remote-upscale', '--help']\n"
        "with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):\n"
        "    main()\n"
        "assert 'sandbox' in shown.getvalue()"
    )
    assert "remote_upscale" in names
    assert names & {"aiohttp", "av", "numpy", "obstore", "PIL", "sqlalchemy"} == set()


async def test_a_picture_needs_no_decoder_of_clips_no_arrays_and_no_object_store(tmp_path, monkeypatch):
    """Most of the time that a run takes by itself is what it imports."""
    source = tmp_path / "photo.png"
    Image.new("RGB", (24, 16), (200, 90, 10)).save(source)
    monkeypatch.setenv("REMOTE_UPSCALE_HOME", str(tmp_path / "home"))
    for provider in PROVIDERS.values():
        monkeypatch.setenv(provider.key_variable, "any key")
    command = ["run", "pixazo/crystal-image", str(source), "-o", str(tmp_path / "result.png"), "--json"]
    run = (
        "import contextlib, os\n"
        "from remote_upscale.api_clients.cli import main\n"
        "with contextlib.redirect_stdout(open(os.devnull, 'w')):\n"
        f"    assert main({command}) == 0\n"
    )
    async with Sandbox(MODELS.values(), delays=Delays(queue=0, run=0)) as sandbox:
        for name, url in sandbox.roots.items():
            monkeypatch.setenv(ROOTS[name].variable, url)
        names = await asyncio.to_thread(loaded_by, run)
    assert {"httpx", "PIL", "sqlalchemy"} <= names
    assert names & {"av", "cv2", "numpy", "obstore", "torch"} == set()
    assert (tmp_path / "result.png").stat().st_size > 0


@pytest.mark.parametrize("module", ["nodes.lazy", "nodes.options", "api_clients.registry"])
def test_what_describes_the_nodes_loads_nothing_heavy(module):
    """ComfyUI asks for the nodes' schemas at every start; what runs them is imported when one runs."""
    names = loaded_by(f"import remote_upscale.{module}")
    heavy = {"aiohttp", "alembic", "av", "cv2", "httpx", "numpy", "obstore", "PIL", "rich", "sqlalchemy"}
    assert names & (heavy | {"stamina", "torch"}) == set()


NODE_MODULES = ("extension", "upscaling", "conversions", "run_options", "schema")


@pytest.mark.parametrize("name", NODE_MODULES)
def test_nodes_import_what_runs_them_only_when_they_run(name):
    light = {"comfy_api", "api_clients", "conversions", "lazy", "options", "run_options", "schema"}
    light |= {"upscaling", "shutdown", "typing", "__future__"}
    light |= {"dataclasses", "decimal", "collections", "math"}
    source = ROOT / "nodes" / f"{name}.py"
    for module in imported(source):
        assert module.removeprefix("nodes.").split(".")[0] in light, f"{name} imports {module}"


def test_every_logger_takes_secrets_out():
    """A logger's filter does not reach the loggers below it, so each has to have it."""
    plain = [
        str(path.relative_to(ROOT))
        for room in ("api_clients", "nodes")
        for path in (ROOT / room).rglob("*.py")
        if "logging.getLogger(__name__)" in path.read_text("utf-8")
    ]
    assert plain == []
