"""What the tests of the nodes run with: the engine's runtime and a folder for files on their way."""

import pytest
from remote_upscale.nodes.runtime import Runtime
from remote_upscale.nodes.working_folder import WorkingFolder


@pytest.fixture
def runtime(settings):
    running = Runtime(lambda _: settings)
    yield running
    running.close()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "work").mkdir()
    folder = WorkingFolder(tmp_path / "work")
    with folder.hold():
        yield folder
