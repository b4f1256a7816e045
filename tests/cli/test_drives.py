"""Drives that lack what ordinary disks offer: NAS, exFAT, FUSE, mounted buckets, and Lustre without locks."""

import errno
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from remote_upscale.api_clients.ledger import Ledger

SOURCE = Path(__file__).parents[1] / "support" / "stubborn_drive.c"
MODEL = "pixazo/crystal-image"


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """What makes a drive stubborn, compiled."""
    compiler = shutil.which("cc")
    if compiler is None or os.uname().sysname != "Linux":
        pytest.skip("needs Linux and a C compiler")
    built = tmp_path_factory.mktemp("drive") / "stubborn_drive.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", built, SOURCE, "-ldl"], check=True)
    return built


@pytest.fixture
def drive(tmp_path, monkeypatch):
    """A folder on a drive of its own kind, with the home in it."""
    folder = tmp_path / "drive"
    folder.mkdir()
    monkeypatch.setenv("REMOTE_UPSCALE_HOME", str(folder / "home"))
    # The result is beyond the MiB from which on what has arrived is worth keeping.
    Image.effect_noise((900, 600), 90).convert("RGB").save(folder / "a.png")
    return folder


@pytest.fixture
def run(start, library, drive):
    """Runs a command on the drive; its documents."""

    def run(lacks, code, *words):
        lacking = {"LD_PRELOAD": str(library), "DRIVE": str(drive), "LACKS": lacks, "ERRNO": str(code)}
        process = start(*words, env=os.environ | lacking)
        out, err = process.communicate(timeout=100)
        assert "Traceback" not in err
        return [json.loads(line) for line in out.splitlines()]

    return run


@pytest.mark.parametrize(
    ("lacks", "code"),
    [
        ("chmod", errno.EPERM),
        ("chmod", errno.ENOTSUP),
        ("sync", errno.EINVAL),
        ("sync", errno.ENOSYS),
        ("maps", errno.ENODEV),
        ("chmod sync maps", errno.ENOTSUP),
    ],
)
def test_a_job_is_done_on_a_drive_that_lacks(run, drive, lacks, code):
    words = ("run", MODEL, drive / "a.png", "-o", f"{drive}/out/", "--sandbox", "--json")
    (done,) = run(lacks, code, *words)
    assert (done["state"], done["reused"]) == ("completed", False), done
    with Image.open(done["output"]) as result:
        assert result.width > 900
    (again,) = run(lacks, code, *words)
    assert (again["state"], again["reused"]) == ("completed", True), again


def test_a_ledger_that_comes_from_another_drive_is_taken_over(run, drive):
    (drive / "home").mkdir()
    there = Ledger(drive / "home" / "ledger.sqlite")
    with there.database.transaction(reading=True) as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    there.close()
    found = {document["check"]: document for document in run("maps", errno.ENODEV, "check", "--json")}
    assert found["ledger"]["ok"], found


def test_without_locks_the_drive_is_named_before_anything_is_ordered(run, drive):
    found = {document["check"]: document for document in run("locks", errno.ENOSYS, "check", "--json")}
    assert not found["ledger"]["ok"]
    assert "its drive offers no locks" in found["ledger"]["detail"]
    assert "REMOTE_UPSCALE_HOME" in found["ledger"]["hint"]
    words = ("run", MODEL, drive / "a.png", "-o", f"{drive}/out/", "--sandbox", "--json")
    (refused,) = run("locks", errno.ENOSYS, *words)
    assert refused["error"]["kind"] == "storage"
    assert refused["request_id"] is None
    assert "its drive offers no locks" in refused["error"]["message"]
