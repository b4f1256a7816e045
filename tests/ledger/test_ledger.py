import os
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from remote_upscale.api_clients.errors import InvalidParameter, ProviderFailed, SubmissionUnknown, TimedOut
from remote_upscale.api_clients.ledger import JobState, Ledger, LedgerMisuse
from remote_upscale.api_clients.protocol import Handle

HANDLE = Handle("fal", "fal/seedvr2-image", "r-1", "https://queue.fal.run/a/requests/r-1/status", None, None)
RESULT = {"path": "/out/a.png", "sha256": "c" * 64, "bytes": 5_000_000_000, "width": 40, "height": 30}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "ledger.sqlite"


@pytest.fixture
def ledger(path):
    ledger = Ledger.open(path)
    yield ledger
    ledger.close()


def prepare(ledger, **changes):
    values = {
        "model": "fal/seedvr2-image",
        "digest": "a" * 64,
        "identity": "b" * 64,
        "parameters": {"upscale_factor": 2, "words": ("x", "y")},
        "source": "photo.png",
        "destination": "/out/a.png",
        "sandbox": False,
        "cost": Decimal("0.00100000000000000001"),
    }
    return ledger.prepare(**(values | changes))


def only(ledger):
    (row,) = ledger.jobs()
    return row


def test_a_job_from_intent_to_result(ledger):
    before = datetime.now(UTC)
    job = prepare(ledger)
    row = only(ledger)
    assert (row.id, row.state, row.request_id, row.handle, row.submitted) == (
        job,
        "prepared",
        None,
        None,
        None,
    )
    assert row.parameters == {"upscale_factor": 2, "words": ["x", "y"]}
    assert row.cost == Decimal("0.00100000000000000001")
    assert before <= row.created <= datetime.now(UTC)
    assert row.created.utcoffset().total_seconds() == 0
    assert not row.may_cost

    ledger.submitting(job)
    assert only(ledger).state is JobState.SUBMITTING
    assert only(ledger).may_cost

    ledger.submitted(job, HANDLE)
    row = only(ledger)
    assert (row.state, row.request_id, row.handle) == (JobState.SUBMITTED, "r-1", HANDLE)
    assert row.created <= row.submitted

    ledger.completed(job, **RESULT)
    row = only(ledger)
    assert row.state is JobState.COMPLETED
    assert (row.result_path, row.result_sha256, row.result_bytes) == ("/out/a.png", "c" * 64, 5_000_000_000)
    assert (row.width, row.height) == (40, 30)
    assert row.submitted <= row.finished


def test_a_result_in_the_reply_to_the_submit_needs_no_request_id(ledger):
    job = bring_to(ledger, "submitting")
    ledger.completed(job, **RESULT)
    assert (only(ledger).state, only(ledger).request_id) == (JobState.COMPLETED, None)


def test_an_unknown_price_stays_unknown(ledger):
    prepare(ledger, cost=None)
    assert only(ledger).cost is None


def test_errors_are_kept(ledger):
    job = submitted(ledger)
    ledger.failed(job, ProviderFailed("The network is out of memory. https://x.test/a?sig=SECRET"))
    row = only(ledger)
    assert (row.state, row.error_kind) == (JobState.FAILED, "provider_failed")
    assert row.error_message == "The network is out of memory. https://x.test/a"
    assert row.finished is not None


def submitted(ledger, **changes):
    job = prepare(ledger, **changes)
    ledger.submitting(job)
    ledger.submitted(job, HANDLE)
    return job


def test_no_link_is_kept_with_its_signature(ledger, path):
    link = "https://user:SECRET@cdn.test/in/photo.png?X-Amz-Signature=SECRET#SECRET"
    prepare(ledger, source=link, parameters={"webhook": link, "seed": 7})
    row = only(ledger)
    assert row.source == "https://cdn.test/in/photo.png"
    assert row.parameters == {"webhook": "https://cdn.test/in/photo.png", "seed": 7}
    assert not any(b"SECRET" in file.read_bytes() for file in path.parent.rglob("*") if file.is_file())


@pytest.mark.parametrize(
    ("reached", "then"),
    [
        ("prepared", "submitted"),
        ("prepared", "completed"),
        ("prepared", "unknown"),
        ("submitting", "submitting"),
        ("submitting", "abandon"),
        ("submitting", "cancelled"),
        ("submitted", "submitting"),
        ("submitted", "submitted"),
        ("submitted", "unknown"),
        ("submitted", "abandon"),
        ("completed", "submitting"),
        ("completed", "failed"),
        ("completed", "cancelled"),
        ("failed", "submitting"),
        ("failed", "submitted"),
        ("submission_unknown", "submitting"),
        ("submission_unknown", "failed"),
        ("no job", "submitting"),
        ("no job", "abandon"),
    ],
)
def test_impossible_steps_are_refused_and_change_nothing(ledger, reached, then):
    job = bring_to(ledger, reached)
    before = ledger.jobs()
    with pytest.raises(LedgerMisuse):
        step(ledger, job, then)
    assert ledger.jobs() == before


def bring_to(ledger, state):
    ways = {
        "no job": [],
        "prepared": [],
        "submitting": ["submitting"],
        "submitted": ["submitting", "submitted"],
        "completed": ["submitting", "submitted", "completed"],
        "failed": ["submitting", "submitted", "failed"],
        "submission_unknown": ["submitting", "unknown"],
    }
    if state == "no job":
        return "0" * 24
    job = prepare(ledger)
    for name in ways[state]:
        step(ledger, job, name)
    assert only(ledger).state == state
    return job


def step(ledger, job, name):
    match name:
        case "submitted":
            ledger.submitted(job, HANDLE)
        case "completed":
            ledger.completed(job, **RESULT)
        case "failed":
            ledger.failed(job, ProviderFailed("No."))
        case "unknown":
            ledger.unknown(job, SubmissionUnknown("No answer."))
        case "cancelled":
            ledger.cancelled(job, "Stopped.")
        case _:
            getattr(ledger, name)(job)


@pytest.mark.parametrize("name", ["a\udcff.png", '"a".png', "фото.png", "C:\\a\\b.png", "a\nb"])
def test_any_file_name_comes_back_as_it_was(ledger, name):
    job = submitted(ledger, source=name, destination=f"/out/{name}")
    ledger.completed(job, **RESULT | {"path": f"/out/{name}"})
    row = only(ledger)
    assert (row.source, row.destination, row.result_path) == (name, f"/out/{name}", f"/out/{name}")


def test_an_abandoned_job_leaves_nothing(ledger):
    ledger.abandon(prepare(ledger))
    assert ledger.jobs() == []


def test_a_late_answer_settles_an_unknown_job(ledger):
    job = bring_to(ledger, "submission_unknown")
    ledger.submitted(job, HANDLE)
    row = only(ledger)
    assert (row.state, row.request_id, row.error_kind, row.finished) == (
        JobState.SUBMITTED,
        "r-1",
        None,
        None,
    )


def test_what_can_be_resumed(ledger):
    waiting = submitted(ledger)
    interrupted = submitted(ledger)
    ledger.interrupted(interrupted, TimedOut("Too slow."))
    given_up = submitted(ledger)
    ledger.cancelled(given_up, "It may finish.")
    never_sent = prepare(ledger)
    ledger.cancelled(never_sent, "Stopped.")
    ledger.failed(submitted(ledger), ProviderFailed("No."))
    ledger.completed(submitted(ledger), **RESULT)
    rehearsal = submitted(ledger, sandbox=True)
    prepare(ledger)

    assert [row.id for row in ledger.resumable(sandbox=False)] == [waiting, interrupted, given_up]
    assert [row.id for row in ledger.resumable(sandbox=True)] == [rehearsal]
    assert ledger.resumable(sandbox=False)[1].error_kind == "timeout"
    ledger.completed(given_up, **RESULT)
    assert [row.id for row in ledger.resumable(sandbox=False)] == [waiting, interrupted]


def test_finished_finds_the_newest_of_the_same_identity(ledger):
    ledger.completed(submitted(ledger), **RESULT | {"path": "/out/old.png"})
    ledger.completed(submitted(ledger), **RESULT | {"path": "/out/new.png"})
    ledger.completed(submitted(ledger, sandbox=True), **RESULT | {"path": "/out/sandbox.png"})
    submitted(ledger)
    assert ledger.finished("b" * 64, sandbox=False).result_path == "/out/new.png"
    assert ledger.finished("b" * 64, sandbox=True).result_path == "/out/sandbox.png"
    assert ledger.finished("d" * 64, sandbox=False) is None


def test_jobs_are_listed_newest_first(ledger):
    made = [prepare(ledger) for _ in range(5)]
    ledger.submitting(made[1])
    assert made == sorted(made)
    assert [row.id for row in ledger.jobs()] == made[::-1]
    assert [row.id for row in ledger.jobs(limit=2)] == made[:2:-1]
    assert [row.id for row in ledger.jobs(states=[JobState.SUBMITTING])] == [made[1]]


CRASH = """
import os, sys
from pathlib import Path
from remote_upscale.api_clients.ledger import Ledger
from remote_upscale.api_clients.protocol import Handle
ledger = Ledger.open(Path(sys.argv[1]))
def prepare(source):
    return ledger.prepare(model="m", digest="a", identity="b", parameters={}, source=source,
                          destination="/out", sandbox=False, cost=None)
prepare("prepared")
ledger.submitting(prepare("submitting"))
job = prepare("submitted")
ledger.submitting(job)
ledger.submitted(job, Handle("fal", "m", "r-9", "https://queue.fal.run/r-9/status"))
print("ready", flush=True)
sys.stdin.readline()
os._exit(9)
"""


def start_other(path):
    other = subprocess.Popen(
        [sys.executable, "-c", CRASH, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "ready\n"
    return other


def test_jobs_of_a_living_process_are_left_to_it_and_those_of_a_dead_one_are_told_apart(path, ledger):
    with start_other(path) as other:
        assert {row.source: row.state.value for row in ledger.jobs()} == {
            name: name for name in ("prepared", "submitting", "submitted")
        }
        assert ledger.resumable(sandbox=False) == []
        theirs = ledger.jobs(states=[JobState.SUBMITTED])[0]
        assert not ledger.claim(theirs.id)
        other.communicate("die\n")
    assert other.returncode == 9

    rows = {row.source: row for row in ledger.jobs()}
    assert rows["prepared"].state is JobState.CANCELLED
    assert "before anything was sent" in rows["prepared"].note
    assert rows["submitting"].state is JobState.UNKNOWN
    assert rows["submitting"].error_kind == "submission_unknown"
    assert "may be charged" in rows["submitting"].error_message
    (left,) = ledger.resumable(sandbox=False)
    assert (left.state, left.request_id) == (JobState.SUBMITTED, "r-9")
    assert ledger.claim(left.id)


def test_only_one_of_two_processes_gets_a_job_to_resume(path, ledger):
    job = submitted(ledger)
    ledger.interrupted(job, TimedOut("Too slow."))
    other = Ledger.open(path)
    assert other.claim(job)
    assert not ledger.claim(job)
    assert ledger.resumable(sandbox=False) == []
    other.close()
    assert ledger.claim(job)
    ledger.completed(job, **RESULT)


def test_a_job_that_does_not_exist_cannot_be_claimed(ledger):
    assert not ledger.claim("0" * 24)


def test_many_threads_and_several_processes_write_at_once(path):
    others = [start_other(path) for _ in range(3)]
    ledgers = [Ledger.open(path) for _ in range(2)]
    threads = [threading.Thread(target=submitted, args=[ledgers[n % 2]]) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    states = [row.state for row in ledgers[0].jobs()]
    assert states.count(JobState.SUBMITTED) == 24 + 3
    for ledger in ledgers:
        ledger.close()
    for other in others:
        with other:
            other.communicate("die\n")


def test_home_and_file_are_for_this_user_alone(path, ledger):
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_was_there_survives_opening_again(path):
    first = Ledger.open(path)
    job = submitted(first)
    first.close()
    second = Ledger.open(path)
    assert [row.id for row in second.resumable(sandbox=False)] == [job]
    second.close()


def test_a_closed_ledger_takes_nothing_and_leaves_no_mark(path):
    ledger = Ledger.open(path)
    prepare(ledger)
    ledger.close()
    assert list((path.parent / "running").iterdir()) == []
    with pytest.raises(LedgerMisuse):
        prepare(ledger)


def refuse(path, **options):
    with pytest.raises(InvalidParameter) as caught:
        Ledger.open(path, **options)
    assert str(path) in caught.value.message
    assert "REMOTE_UPSCALE_HOME" in caught.value.hint
    return caught.value.message


def test_a_ledger_of_a_newer_release_is_refused(path):
    Ledger.open(path).close()
    change(path, "UPDATE meta SET value = '7' WHERE name = 'schema'")
    assert "schema 7, this one knows 1" in refuse(path)


def change(path, statement):
    database = sqlite3.connect(path)
    database.execute(statement)
    database.commit()
    database.close()


def test_a_damaged_ledger_is_refused(path):
    path.parent.mkdir()
    path.write_bytes(b"This is a letter to my aunt, and not a database. " * 40)
    assert "not a database" in refuse(path)


def test_a_damaged_row_is_told(path, ledger):
    prepare(ledger)
    change(path, "UPDATE jobs SET parameters = '{'")
    with pytest.raises(InvalidParameter, match=r"cannot be used"):
        ledger.jobs()


def test_a_locked_ledger_is_told(path, ledger):
    job = prepare(ledger)
    ledger.submitting(job)
    database = sqlite3.connect(path)
    database.execute("BEGIN IMMEDIATE")
    assert "locked" in refuse(path, patience=0.05)
    database.close()


def test_an_id_that_cannot_be_recorded_is_not_lost(path):
    ledger = Ledger.open(path, patience=0.05)
    job = prepare(ledger)
    ledger.submitting(job)
    database = sqlite3.connect(path)
    database.execute("BEGIN IMMEDIATE")
    with pytest.raises(InvalidParameter) as caught:
        ledger.submitted(job, HANDLE)
    assert "r-1" in str(caught.value)
    database.close()
    ledger.submitted(job, HANDLE)
    ledger.close()


@pytest.mark.parametrize("kind", ["file where the folder should be", "folder where the file should be"])
def test_an_unusable_home_is_told(tmp_path, kind):
    home = tmp_path / "home"
    if kind.startswith("file"):
        home.write_text("")
    else:
        (home / "ledger.sqlite").mkdir(parents=True)
    refuse(home / "ledger.sqlite")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
def test_a_ledger_that_may_not_be_written_is_told(path):
    Ledger.open(path).close()
    program = (
        "import os, sys; from pathlib import Path\n"
        "from remote_upscale.api_clients.ledger import Ledger\n"
        "os.geteuid() == 0 and os.seteuid(65534)\n"
        "Ledger.open(Path(sys.argv[1]))"
    )
    path.parent.chmod(0o555)
    path.chmod(0o444)
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False)
    path.parent.chmod(0o755)
    assert "InvalidParameter" in done.stderr
    assert "cannot be used" in done.stderr
