"""No key is in anything that ComfyUI keeps, sends or saves."""

from __future__ import annotations

import shutil
import tomllib

import pytest
from comfyui_graphs import SEEDVR2, draw
from comfyui_server import nodes

SAVED = {"filename_prefix": "searched", "format": "auto", "codec": "auto"}
ACCOUNT_KEY = "distinctive-account-key-93fe"


def everything(comfyui):
    """All that leaves ComfyUI: files, its log, and what its routes answer."""
    for route in ("/history", "/queue", "/settings", "/object_info", "/system_stats"):
        yield route, comfyui.http.get(route).content
    yield "log", comfyui.log.encode()
    for folder in ("output", "temp", "user/default"):
        for path in (comfyui.base / folder).rglob("*"):
            if path.is_file():
                yield str(path), path.read_bytes()


def found(comfyui, secrets):
    return [
        place for place, content in everything(comfyui) if any(key.encode() in content for key in secrets)
    ]


@pytest.fixture
def keys(environment):
    return [environment[name] for name in ("PIXAZO_API_KEY", "APIXO_API_KEY", "FAL_KEY")]


def test_a_saved_picture_has_the_graph_but_no_key(comfyui, keys):
    draw(comfyui, "searched")
    ended = comfyui.run(
        nodes(
            load=("LoadImage", {"image": "searched.png"}),
            up=("RemoteUpscaleFalSeedVR2Image", {"image": ("load", 0), **SEEDVR2}),
            save=("SaveImage", {"images": ("up", 0), "filename_prefix": "searched"}),
        )
    )
    assert ended.status == "success", ended.error
    assert b"RemoteUpscaleFalSeedVR2Image" in comfyui.output(ended, "save").read_bytes()
    assert found(comfyui, keys) == []


def test_a_saved_clip_has_the_graph_but_no_key(comfyui, keys, clip):
    shutil.copy(clip, comfyui.base / "input" / "searched.mp4")
    ended = comfyui.run(
        nodes(
            load=("LoadVideo", {"file": "searched.mp4"}),
            up=("RemoteUpscalePixazoTopazVideo", {"video": ("load", 0), "upscale_factor": "2"}),
            save=(
                "SaveVideo",
                {"video": ("up", 0), "filename_prefix": "s", "format": "auto", "codec": "auto"},
            ),
        )
    )
    assert ended.status == "success", ended.error
    assert b"RemoteUpscalePixazoTopazVideo" in comfyui.output(ended, "save").read_bytes()
    assert found(comfyui, keys) == []


def test_a_wrong_key_of_an_account_is_refused_without_being_told(comfyui, keys):
    """The graph has the account's name only; the file with its key is where HTTP does not reach."""
    [home] = (comfyui.base / "user").glob("__*remote_upscale*")
    credentials = home / "credentials.toml"
    credentials.write_text(f'[studio]\nfal = "{ACCOUNT_KEY}"\n')
    credentials.chmod(0o600)
    assert tomllib.loads(credentials.read_text())["studio"]
    draw(comfyui, "by the studio")
    options = {"time_limit": 0, "reuse": True, "on_failure": "stop", "private": False, "max_cost": 0}
    ended = comfyui.run(
        nodes(
            load=("LoadImage", {"image": "by the studio.png"}),
            options=("RemoteUpscaleOptions", {"account": "studio", **options}),
            up=("RemoteUpscaleFalSeedVR2Image", {"image": ("load", 0), "options": ("options", 0), **SEEDVR2}),
            save=("SaveImage", {"images": ("up", 0), "filename_prefix": "studio"}),
        )
    )
    assert ended.status == "error"
    assert "key" in ended.error["exception_message"]
    assert found(comfyui, [*keys, ACCOUNT_KEY]) == []
    for address in (
        "/view?filename=credentials.toml&type=input&subfolder=../user",
        "/userdata/credentials.toml",
    ):
        assert ACCOUNT_KEY not in comfyui.http.get(address).text
