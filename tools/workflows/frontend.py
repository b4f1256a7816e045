"""ComfyUI's own frontend in a browser: what it makes of a graph, and how it saves one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import ConsoleMessage, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_HERE = Path(__file__).parent
_READY = "!!window.LiteGraph?.registered_node_types?.RemoteUpscaleOptions && !!window.app?.canvas"


@dataclass(frozen=True, kw_only=True)
class Built:
    """A workflow in its two forms.

    Attributes:
        graph: what the frontend saves.
        prompt: what it queues.
    """

    graph: dict[str, Any]
    prompt: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What became of a saved graph.

    Attributes:
        prompt: what the frontend would queue.
        missing: types of nodes that it does not know.
        red: types of nodes that it marks as faulty.
    """

    prompt: dict[str, Any]
    missing: list[str]
    red: list[str]


class Frontend:
    """An open page of ComfyUI.

    Attributes:
        page: the browser's.
        errors: what scripts raised or wrote to the console as an error since it was last cleared.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._heard)
        page.goto(url)
        page.wait_for_function(_READY, timeout=60_000)
        self.errors.clear()

    def _heard(self, message: ConsoleMessage) -> None:
        # The frontend asks for files that a user does not have yet, and for news from its makers.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.errors.append(message.text)

    def build(self, workflow: Mapping[str, Any]) -> Built:
        """Build a described workflow."""
        return Built(**self._run("build.js", workflow))

    def load(self, graph: Mapping[str, Any]) -> Loaded:
        """Load a saved graph."""
        return Loaded(**self._run("load.js", graph))

    def _run(self, script: str, argument: Mapping[str, Any]) -> Any:
        made = json.loads(self.page.evaluate((_HERE / script).read_text("utf-8"), argument))
        for node in made["prompt"].values():
            # The player, which comes once the clip has been read, counts as a widget of the node.
            node["inputs"].pop("video-preview", None)
        return made

    def fit(self) -> None:
        """Show the whole graph."""
        self.page.keyboard.press("Escape")
        self.page.evaluate("() => app.extensionManager.command.execute('Comfy.Canvas.FitView')")
        self.page.wait_for_timeout(1200)


@contextmanager
def open_frontend(url: str, settings: Mapping[str, object] | None = None) -> Generator[Frontend]:
    """Open a running ComfyUI in a browser.

    Args:
        url: the server's.
        settings: of the frontend.
    """
    # The templates dialog, which a new user sees, covers the canvas.
    for name, value in {"Comfy.TutorialCompleted": True, **(settings or {})}.items():
        httpx.post(f"{url}/settings/{name}", json=value).raise_for_status()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        page = browser.new_page(viewport={"width": 2400, "height": 1200})
        try:
            yield Frontend(page, url)
        finally:
            browser.close()
