"""Several processes at one ledger."""

import subprocess
import sys
import threading
import time

from ledger_steps import RESULT, bring_to, prepare, submitted
from remote_upscale.api_clients.errors import TimedOut
from remote_upscale.api_clients.ledger import Claim, JobState, Ledger

CRASH = """
import os, sys
from pathlib import Path
from remote_upscale.api_clients.errors import SubmissionUnknown
from remote_upscale.api_clients.ledger import Intent, Ledger
from remote_upscale.api_clients.providers.base import Handle
ledger = Ledger(sys.argv[1] if "://" in sys.argv[1] else Path(sys.argv[1]))
def prepare(source):
    job = ledger.new_id()
    ledger.insert_pending(Intent(model="m", digest="a", identity="b", parameters={}, source=source,
                                 destination="/out", sandbox=False, cost=None, account="c"), job=job)
    return job
prepare("prepared")
ledger.mark_submitting(prepare("submitting"), link="d")
job = prepare("submitted")
ledger.mark_submitting(job, link="d")
ledger.mark_submitted(job, Handle("fal", "m", "r-9", "https://queue.fal.run/r-9/status"))
job = prepare("submission_unknown")
ledger.mark_submitting(job, link="d")
ledger.mark_unknown(job, SubmissionUnknown("No answer."))
print("ready", flush=True)
sys.stdin.readline()
os._exit(9)
"""


def wait_until(holds):
    """A server takes a moment to notice that a session has ended."""
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until, "it never holds"
        time.sleep(0.01)


def start_other(place):
    other = subprocess.Popen(
        [sys.executable, "-c", CRASH, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "ready\n"
    return other


def test_jobs_of_a_living_process_are_left_to_it_and_those_of_a_dead_one_are_told_apart(place, ledger):
    with start_other(place) as other:
        assert {row.source: row.state.value for row in ledger.jobs()} == {
            name: name for name in ("prepared", "submitting", "submitted", "submission_unknown")
        }
        assert ledger.resumable(sandbox=False) == []
        theirs = ledger.jobs(states=[JobState.SUBMITTED])[0]
        assert ledger.claim(theirs.id) is Claim.BUSY
        other.communicate("die\n")
    assert other.returncode == 9

    wait_until(lambda: all(row.owner is None for row in ledger.jobs()))
    rows = {row.source: row for row in ledger.jobs()}
    assert rows["submission_unknown"].state is JobState.UNKNOWN
    assert rows["submission_unknown"].error_message == "No answer."
    assert rows["prepared"].state is JobState.CANCELLED
    assert "before anything was sent" in rows["prepared"].note
    assert rows["submitting"].state is JobState.UNKNOWN
    assert rows["submitting"].error_kind == "submission_unknown"
    assert "may be charged" in rows["submitting"].error_message
    (left,) = ledger.resumable(sandbox=False)
    assert (left.state, left.request_id) == (JobState.SUBMITTED, "r-9")
    assert ledger.claim(left.id) is Claim.TAKEN


def test_only_one_of_two_processes_gets_a_job_to_resume(place, ledger):
    job = submitted(ledger)
    ledger.release(job, TimedOut("Too slow."))
    other = Ledger(place)
    assert other.claim(job) is Claim.TAKEN
    assert ledger.claim(job) is Claim.BUSY
    assert ledger.resumable(sandbox=False) == []
    other.close()
    wait_until(lambda: ledger.claim(job) is Claim.TAKEN)
    ledger.mark_completed(job, **RESULT)


def test_a_job_that_does_not_exist_cannot_be_claimed(ledger):
    assert ledger.claim("0" * 24) is Claim.BUSY


def test_many_threads_and_several_processes_write_at_once(place):
    others = [start_other(place) for _ in range(3)]
    ledgers = [Ledger(place) for _ in range(2)]
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


def test_a_job_that_is_over_cannot_be_claimed(ledger):
    for state in ("completed", "failed", "submission_unknown", "submitting"):
        assert ledger.claim(bring_to(ledger, state)) is Claim.BUSY


def test_a_job_that_this_process_does_not_drive_any_more_can_be_released(ledger):
    rows = {state: ledger.get(bring_to(ledger, state)) for state in ("prepared", "submitting", "submitted")}
    assert all(ledger.owns(row) for row in rows.values())
    for row in rows.values():
        ledger.release_stale(row)
    states = {state: ledger.get(row.id).state for state, row in rows.items()}
    assert states == {"prepared": "cancelled", "submitting": "submission_unknown", "submitted": "submitted"}
    assert all(row.owner is None for row in ledger.jobs())


def test_places_of_a_process_that_has_ended_become_free(place, ledger):
    with start_other(place) as other:
        job = prepare(ledger, account="c")
        assert not ledger.take_place(job, most=2)
        other.communicate("die\n")
    wait_until(lambda: ledger.take_place(job, most=2))


LOOK = """
import sqlite3, sys
ledger = sqlite3.connect(sys.argv[1])
print(ledger.execute("SELECT count(*) FROM jobs").fetchone()[0])
ledger.close()
"""


def test_two_ledgers_of_one_process_keep_their_locks(path):
    """Closing a file drops the locks of its process; then whoever closes last takes the journal away."""
    first = Ledger(path)
    prepare(first)
    second = Ledger(path)
    seen = []
    for number in range(3):
        prepare(first, identity=str(number))
        look = [sys.executable, "-c", LOOK, str(path)]
        seen.append(int(subprocess.run(look, capture_output=True, check=True).stdout))
    first.close()
    second.close()
    assert seen == [2, 3, 4]


OPEN = """
import sys
from pathlib import Path
from remote_upscale.api_clients.ledger import Ledger
import alembic.command
sys.stdout.write("ready\\n")
sys.stdout.flush()
for line in sys.stdin:
    try:
        Ledger(Path(line.strip())).close()
        answer = "opened"
    except Exception as error:
        answer = str(error)
    sys.stdout.write(answer + "\\n")
    sys.stdout.flush()
"""


def test_two_processes_can_open_a_new_ledger_at_the_same_moment(tmp_path):
    command = [sys.executable, "-c", OPEN]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as one, subprocess.Popen(command, **pipes) as two:
        both = (one, two)
        assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
        answers = []
        for number in range(60):
            for process in both:
                process.stdin.write(f"{tmp_path / str(number) / 'ledger.sqlite'}\n")
            for process in both:
                process.stdin.flush()
            answers += [process.stdout.readline() for process in both]
        for process in both:
            process.stdin.close()
    assert set(answers) == {"opened\n"}
