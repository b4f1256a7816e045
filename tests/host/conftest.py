"""One ComfyUI and one sandbox for all tests here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from comfyui_server import ComfyUI, DidNotStart, NotInstalled, serve, starts_without_us
from faulty_sandbox import FaultySandbox
from remote_upscale.api_clients.registry import MODELS
from remote_upscale.api_clients.sandbox import Delays

AT_ONCE = Delays(queue=0, run=0)
KEYS = {name: f"distinctive-{name}-key-77ab" for name in ("pixazo", "apixo", "fal")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test waits for ComfyUI's start, and some for a browser's."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def provider() -> Generator[FaultySandbox]:
    """A sandbox whose jobs are done at once, on a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    running = FaultySandbox(MODELS.values(), delays=AT_ONCE, keys=KEYS)
    asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result(10)
    yield running
    asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="session")
def environment(provider: FaultySandbox) -> dict[str, str]:
    """That of a user with all keys, at the sandbox."""
    roots = provider.roots
    return {
        "PIXAZO_API_KEY": KEYS["pixazo"],
        "APIXO_API_KEY": KEYS["apixo"],
        "FAL_KEY": KEYS["fal"],
        "REMOTE_UPSCALE_PIXAZO_URL": roots.pixazo,
        "REMOTE_UPSCALE_APIXO_URL": roots.apixo,
        "REMOTE_UPSCALE_FAL_QUEUE_URL": roots.fal_queue,
        "REMOTE_UPSCALE_FAL_REST_URL": roots.fal_rest,
        "REMOTE_UPSCALE_FAL_CDN_URL": roots.fal_cdn,
        "REMOTE_UPSCALE_FAL_API_URL": roots.fal_api,
    }


@pytest.fixture(scope="session")
def comfyui(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Generator[ComfyUI]:
    """A ComfyUI with this pack."""
    base: Path = tmp_path_factory.mktemp("comfyui")
    try:
        with serve(base, environment) as running:
            yield running
    except NotInstalled as missing:
        pytest.skip(str(missing))
    except DidNotStart:
        if starts_without_us():
            raise
        pytest.skip("The ComfyUI of this machine does not start, with this pack or without it.")


@pytest.fixture(autouse=True)
def no_faults(provider: FaultySandbox) -> Generator[None]:
    """What a test lets go wrong ends with it."""
    yield
    provider.faults.clear()
    provider.delays = AT_ONCE


@pytest.fixture
def charged(provider: FaultySandbox) -> Callable[[], int]:
    """How many jobs the provider was given since the test began."""
    before = len(provider.jobs)
    return lambda: len(provider.jobs) - before


@pytest.fixture
def widgets(comfyui: ComfyUI) -> Callable[[str], dict[str, object]]:
    """What a new node's widgets say, as the frontend sends them."""

    def of(node: str) -> dict[str, object]:
        schema = comfyui.http.get(f"/object_info/{node}").json()[node]["input"]
        return dict(_defaults(schema))

    return of


def _defaults(inputs: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, (kind, *rest) in inputs.get("required", {}).items():
        more = rest[0] if rest else {}
        if kind == "COMFY_DYNAMICCOMBO_V3":
            first = more["options"][0]
            yield prefix + name, first["key"]
            yield from _defaults(first["inputs"], f"{prefix}{name}.")
        elif "default" in more:
            yield prefix + name, more["default"]
