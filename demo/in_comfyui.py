"""Runs one of the example workflows in a real ComfyUI, with the sandbox, where a ComfyUI is installed.

ComfyUI starts without a browser, on a free port and with folders of its own, and is stopped again. Nothing in
its installation changes.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from comfyui_server import DidNotStart, Ended, NotInstalled, Rejected, find, serve  # noqa: E402 (the tests start it as well)

WORKFLOW = ROOT / "example_workflows" / "api" / "chain-two-models-side-by-side.json"
PATIENCE = 300.0


def run_workflow(picture: Path, results: Path, environment: Mapping[str, str]) -> None:
    """Run the workflow and leave its picture beside the other results, or say in one line why it was not run.

    Args:
        picture: what ComfyUI loads.
        results: a folder.
        environment: for ComfyUI.

    Raises:
        SystemExit: ComfyUI could not run it; the reason is the message.
    """
    print(f"ComfyUI: {WORKFLOW.relative_to(ROOT)}", flush=True)
    try:
        with TemporaryDirectory() as base:
            _run(picture, results, Path(base), environment)
    except NotInstalled as missing:
        print(f"  skipped: {missing}", flush=True)
    except DidNotStart as failure:
        print(f"  skipped: {_in_one_line(failure)}", flush=True)
    except (Rejected, RuntimeError, TimeoutError) as failure:
        raise SystemExit(f"ComfyUI could not run it: {failure}") from failure


def _run(picture: Path, results: Path, base: Path, environment: Mapping[str, str]) -> None:
    prompt: dict[str, Any] = json.loads(WORKFLOW.read_text("utf-8"))
    with serve(base, {"REMOTE_UPSCALE_SANDBOX": "1"}, inherited=environment) as comfyui:
        shutil.copy(picture, base / "input")
        for node in _of_class(prompt, "LoadImage"):
            prompt[node]["inputs"]["image"] = picture.name
        ended = comfyui.run(prompt, PATIENCE)
        if ended.status != "success":
            raise RuntimeError(_reason(ended))
        for node in _of_class(prompt, "PreviewAny"):
            report = json.loads(ended.outputs[node]["text"][0])
            print(f"  {report['model']}: completed in {report['seconds']:.1f} s", flush=True)
        [saved] = _of_class(prompt, "SaveImage")
        shutil.copy(comfyui.output(ended, saved), results / f"in-comfyui{picture.suffix}")


def _in_one_line(failure: DidNotStart) -> str:
    """The log of a ComfyUI that does not start usually ends with the reason."""
    _, *log = str(failure).strip().splitlines()
    reason = f": {log[-1].strip()}" if log else "."
    return f"the ComfyUI in {find()[0]} does not start{reason}"


def _of_class(prompt: Mapping[str, Any], name: str) -> list[str]:
    return [node for node, content in prompt.items() if content["class_type"] == name]


def _reason(ended: Ended) -> str:
    return str((ended.error or {}).get("exception_message", ended.status)).strip()
