import json
import signal
import threading
from pathlib import Path

import pytest
from faults import hang, literal, state

FAL = "fal/seedvr2-image"
PIXAZO = "pixazo/seedvr2-3b-image"


def wait_for(condition):
    patience = threading.Event()
    for _ in range(1500):
        if condition():
            return
        patience.wait(0.02)
    raise AssertionError("it did not happen")


def asked(remote, part):
    return [request for request in remote.requests if part in request.path]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_and_tells_what_was_not_finished(start, remote, picture, number, status):
    remote.faults.add("status", state("IN_PROGRESS"), times=None)
    picture("a.png")
    picture("b.png")
    process = start("run", FAL, "gone.png", "a.png", "b.png", "-o", "out", "--json")
    wait_for(lambda: len(remote.jobs) == 2 and asked(remote, "/status"))
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == status
    documents = [json.loads(line) for line in out.splitlines()]
    assert [d["input"] for d in documents] == ["gone.png", "a.png", "b.png"]
    assert [d["error"]["kind"] for d in documents] == ["invalid_input", "cancelled", "cancelled"]
    assert all(d["request_id"] for d in documents[1:])
    assert len(asked(remote, "/cancel")) == 2
    assert "Traceback" not in err
    assert "remote-upscale resume" in err
    assert list(Path("out").iterdir()) == []


def test_each_input_is_told_once_where_the_ledger_is_out_of_reach(start, remote, picture, home):
    remote.faults.add("status", state("IN_PROGRESS"), times=None)
    picture("a.png")
    process = start("run", FAL, "gone.png", "a.png", "-o", "out", "--json")
    wait_for(lambda: asked(remote, "/status"))
    (home / "ledger.sqlite").rename(home / "away.sqlite")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    documents = [json.loads(line) for line in out.splitlines()]
    assert [(d["input"], d["error"]["kind"]) for d in documents] == [
        ("gone.png", "invalid_input"),
        ("a.png", "cancelled"),
    ]
    assert "Traceback" not in err


def test_a_stopped_job_is_resumed_to_where_it_was_meant_to_go(start, remote, picture, cli):
    remote.faults.add("status", state("PROCESSING"), times=None)
    picture()
    process = start("run", PIXAZO, "photo.png", "-o", "big.png", "--json")
    wait_for(lambda: remote.jobs)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    stopped = json.loads(out)
    assert "goes on and may be charged" in stopped["error"]["message"]
    remote.faults.clear()

    (left,) = cli("jobs", "--json").documents
    assert (left["state"], left["request_id"]) == ("submitted", stopped["request_id"])
    ran = cli("resume", "--json")
    (document,) = ran.documents
    assert ran.status == 0
    assert (document["state"], document["request_id"]) == ("completed", stopped["request_id"])
    assert document["reused"] is True
    assert Path(document["output"]) == Path("big.png").absolute()
    assert Path("big.png").is_file()
    assert len(remote.jobs) == 1
    assert cli("resume", "--json").documents == []
    assert cli("resume").out == "There is nothing to resume.\n"


def test_a_killed_process_leaves_its_job_to_be_resumed(start, remote, picture, cli):
    remote.faults.add("status", state("IN_PROGRESS"), times=None)
    picture()
    process = start("run", FAL, "photo.png", "-o", "big.png", "--json")
    wait_for(lambda: asked(remote, "/status"))
    process.kill()
    process.wait()
    remote.faults.clear()
    ran = cli("resume", "--json")
    assert [d["state"] for d in ran.documents] == ["completed"]
    assert Path("big.png").is_file()


def test_a_killed_submit_is_reported_as_unknown(start, remote, picture, cli):
    remote.faults.add("submit", hang(accepted=True))
    picture()
    process = start("run", FAL, "photo.png", "-o", "big.png", "--json")
    wait_for(lambda: remote.jobs)
    process.kill()
    process.wait()
    (row,) = cli("jobs", "--json").documents
    assert row["state"] == "submission_unknown"
    assert row["error"]["kind"] == "submission_unknown"
    assert row["cost_usd"] is not None
    assert "submission_unknown" in cli("jobs").out


def test_the_second_signal_leaves_at_once(start, remote, picture):
    remote.faults.add("status", state("IN_PROGRESS"), times=None)
    remote.faults.add("cancel", hang(), times=None)
    picture()
    process = start("run", FAL, "photo.png", "-o", "big.png", "--json")
    wait_for(lambda: asked(remote, "/status"))
    process.send_signal(signal.SIGINT)
    wait_for(lambda: asked(remote, "/cancel"))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "Stopping. Interrupt again to leave at once.\n")


def test_what_goes_on_at_a_provider_is_counted_and_told_once(start, remote, picture):
    remote.faults.add("status", state("PROCESSING"), times=None)
    picture()
    process = start("run", PIXAZO, "photo.png", "-o", "big.png")
    wait_for(lambda: asked(remote, "/requests/") or asked(remote, "status"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "1 job is still at a provider; `remote-upscale resume` fetches the results." in err
    assert err.count("goes on and may be charged") == 1


def test_what_was_cancelled_is_not_counted_as_still_there(start, remote, picture):
    remote.faults.add("status", state("IN_PROGRESS"), times=None)
    remote.faults.add("cancel", literal('{"status": "CANCELLATION_REQUESTED"}', status=202), times=1)
    picture("a.png")
    picture("b.png")
    process = start("run", FAL, "a.png", "b.png", "-o", "out")
    wait_for(lambda: len(remote.jobs) == 2 and asked(remote, "/status"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert "1 job is still at a provider" in err
    assert err.count("Cancelled at fal.") == 1
