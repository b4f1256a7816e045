"""Write ``locales/en`` from the nodes' schemas, or check all languages against them.

English is what the schemas say. The other languages are kept by hand; ``--check`` names what they lack.
The choices of a combo have no translation in ComfyUI: their names are what is sent.

    python tools/locales.py [--check] [--object-info FILE]

Without a file, a real ComfyUI is started for its ``/object_info``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCALES = ROOT / "locales"
PREFIX = "RemoteUpscale"
_DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"

Json = dict[str, Any]


def english(object_info: Mapping[str, Any]) -> dict[str, Json]:
    """The texts of our nodes as ComfyUI's frontend looks them up, by the name of their file.

    Args:
        object_info: what ComfyUI's ``/object_info`` answers.
    """
    ours = {name: info for name, info in sorted(object_info.items()) if name.startswith(PREFIX)}
    # The frontend translates each part of a category by itself.
    parts = {part for info in ours.values() for part in info["category"].split("/")}
    return {
        "main": {"nodeCategories": {_key(part): part for part in sorted(parts)}},
        "nodeDefs": {_key(name): _node(info) for name, info in ours.items()},
    }


def read(language: str) -> dict[str, Json]:
    """A language's texts, by the name of their file."""
    return {file.stem: json.loads(file.read_text("utf-8")) for file in (LOCALES / language).glob("*.json")}


def languages() -> list[str]:
    """All languages that there are."""
    return sorted(folder.name for folder in LOCALES.iterdir() if folder.is_dir())


def paths(texts: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Where the texts are, such as ``Node.inputs.seed.name``."""
    for key, value in texts.items():
        if isinstance(value, Mapping):
            yield from paths(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


def differences(expected: Mapping[str, Any], translated: Mapping[str, Any]) -> list[str]:
    """What a translation lacks, and what it has besides, in sentences."""
    wanted, there = set(paths(expected)), set(paths(translated))
    return [f"{path} is missing" for path in sorted(wanted - there)] + [
        f"{path} is left over" for path in sorted(there - wanted)
    ]


def _node(info: Mapping[str, Any]) -> Json:
    node: Json = {"display_name": info["display_name"]}
    if info["description"]:
        node["description"] = info["description"]
    node["inputs"] = dict(_inputs(info["input"]))
    tooltips = info.get("output_tooltips") or [None] * len(info["output_name"])
    node["outputs"] = {
        str(index): _text(name, tooltip)
        for index, (name, tooltip) in enumerate(zip(info["output_name"], tooltips, strict=True))
    }
    return node


def _inputs(inputs: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Json]]:
    for section in ("required", "optional"):
        for name, (kind, *rest) in inputs.get(section, {}).items():
            more: Json = rest[0] if rest else {}
            yield _key(above + name), _text(name, more.get("tooltip"))
            if kind == _DYNAMIC_COMBO:
                for option in more["options"]:
                    yield from _inputs(option["inputs"], f"{above}{name}.")


def _text(name: str, tooltip: str | None) -> Json:
    return {"name": name, "tooltip": tooltip} if tooltip else {"name": name}


def _key(name: str) -> str:
    # The frontend looks up names with every dot replaced, since a dot separates the parts of its paths.
    return name.replace(".", "_")


def _served() -> Json:
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from comfyui_server import serve  # noqa: PLC0415 (needed only without a file)

    with tempfile.TemporaryDirectory() as base, serve(Path(base), {"REMOTE_UPSCALE_SANDBOX": "1"}) as comfyui:
        return comfyui.http.get("/object_info").json()


def _check(texts: Mapping[str, Json]) -> list[str]:
    stale = [] if read("en") == texts else ["en: is not what the schemas say; run tools/locales.py"]
    return stale + [
        f"{language}: {difference}"
        for language in languages()
        for difference in differences(texts, read(language))
    ]


def _write(texts: Mapping[str, Json]) -> None:
    folder = LOCALES / "en"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in texts.items():
        file = folder / f"{name}.json"
        file.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", "utf-8")
        print(file)


def main() -> int:
    """Run the tool; 1 when a check finds something."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; say what differs")
    parser.add_argument("--object-info", type=Path, metavar="FILE", help="a saved answer of /object_info")
    arguments = parser.parse_args()
    file: Path | None = arguments.object_info
    texts = english(json.loads(file.read_text("utf-8")) if file else _served())
    if not arguments.check:
        _write(texts)
        return 0
    found = _check(texts)
    print("\n".join(found) or "All languages have what the schemas have.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
