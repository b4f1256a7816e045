"""Empty stand-ins for what ComfyUI imports at its start but no test here uses, where it cannot be imported.

Python imports a module of this name at its start if its folder is on the path.
"""

import importlib.abc
import importlib.machinery
import subprocess
import sys
import types

NAMES = (
    "torchvision",
    "torchaudio",
    "torchsde",
    "transformers",
    "tokenizers",
    "sentencepiece",
    "scipy",
    "spandrel",
)


class _StandIn(types.ModuleType):
    __path__ = ()
    __version__ = "0.0"

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, names: set[str]) -> None:
        self._names = names

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in self._names:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return _StandIn(spec.name)

    def exec_module(self, module):
        pass


def _usable(name: str) -> bool:
    # In a process of its own: a library that does not go with the others can leave torch half changed.
    asked = [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; import {name}"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


sys.meta_path.insert(0, _Finder({name for name in NAMES if not _usable(name)}))
