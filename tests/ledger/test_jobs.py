"""A job's way through the ledger."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from ledger_steps import (
    HANDLE,
    RESULT,
    STORED,
    bring_to,
    completed,
    intent,
    prepare,
    step,
    submitted,
)
from remote_upscale.api_clients.errors import ProviderFailed, TimedOut
from remote_upscale.api_clients.ledger import Claim, JobState, Ledger, LedgerMisuse, month_start
from remote_upscale.api_clients.providers.base import Handle


def only(ledger):
    (row,) = ledger.jobs()
    return row


def test_a_job_from_intent_to_result(ledger):
    before = datetime.now(UTC)
    job = prepare(ledger)
    row = only(ledger)
    assert (row.id, row.state, row.request_id, row.handle, row.sent) == (job, "prepared", None, None, None)
    assert row.parameters == {"upscale_factor": 2, "words": ["x", "y"]}
    assert row.cost == Decimal("0.001000001")
    assert before <= row.created <= datetime.now(UTC)
    assert row.created.utcoffset().total_seconds() == 0
    assert not row.may_cost

    ledger.mark_submitting(job, link="f" * 64)
    row = only(ledger)
    assert (row.state, row.link) == (JobState.SUBMITTING, "f" * 64)
    assert row.may_cost

    ledger.mark_submitted(job, HANDLE)
    row = only(ledger)
    assert (row.state, row.request_id, row.handle) == (JobState.SUBMITTED, "r-1", HANDLE)

    ledger.mark_stored(job, **STORED)
    row = only(ledger)
    assert (row.state, row.result_sha256, row.result_path) == (JobState.STORED, "c" * 64, None)

    ledger.mark_completed(job, **RESULT)
    row = only(ledger)
    assert row.state is JobState.COMPLETED
    assert (row.result_path, row.result_sha256, row.result_bytes) == ("/out/a.png", "c" * 64, 5_000_000_000)
    assert (row.width, row.height, row.owner) == (40, 30, None)
    assert row.created <= row.sent <= row.submitted <= row.stored <= row.finished


@pytest.mark.parametrize("state", ["submitting", "submitted"])
def test_a_result_that_the_store_did_not_take_is_delivered_all_the_same(ledger, state):
    job = bring_to(ledger, state)
    ledger.mark_completed(job, **RESULT)
    assert (only(ledger).state, only(ledger).stored) == (JobState.COMPLETED, None)
    assert only(ledger).may_cost


def test_a_result_that_is_delivered_once_more_was_done_before(ledger):
    job = completed(ledger)
    before = only(ledger)
    ledger.mark_stored(job, **STORED | {"sha256": "d" * 64})
    ledger.mark_completed(job, **RESULT | {"sha256": "d" * 64, "path": None})
    row = only(ledger)
    assert (row.state, row.finished, row.owner) == (JobState.COMPLETED, before.finished, None)
    assert (row.result_sha256, row.result_path) == ("d" * 64, "/out/a.png")


def test_an_unknown_price_stays_unknown(ledger):
    prepare(ledger, cost=None)
    assert only(ledger).cost is None


def test_errors_are_kept(ledger):
    job = submitted(ledger)
    ledger.mark_failed(job, ProviderFailed("The network is out of memory. https://x.test/a?sig=SECRET"))
    row = only(ledger)
    assert (row.state, row.error_kind) == (JobState.FAILED, "provider_failed")
    assert row.error_message == "The network is out of memory. https://x.test/a"
    assert row.finished is not None
    assert row.cost == Decimal("0.001000001")


def test_what_was_certainly_not_charged_cost_nothing(ledger):
    ledger.mark_failed(submitted(ledger), ProviderFailed("It was not charged."), charged=False)
    assert only(ledger).cost == 0


def test_a_failure_that_may_be_charged_counts_even_without_an_id(ledger):
    ledger.mark_failed(bring_to(ledger, "submitting"), ProviderFailed("It failed."))
    assert only(ledger).may_cost
    assert ledger.spent(month_start()) == only(ledger).cost


@pytest.mark.parametrize("name", ["a\udcff.png", '"a".png', "фото.png", "C:\\a\\b.png", "a\nb"])
def test_any_file_name_comes_back_as_it_was(ledger, name):
    job = submitted(ledger, source=name, destination=f"/out/{name}")
    ledger.mark_completed(job, **RESULT | {"path": f"/out/{name}"})
    row = only(ledger)
    assert (row.source, row.destination, row.result_path) == (name, f"/out/{name}", f"/out/{name}")


def test_a_job_that_was_not_sent_leaves_nothing(ledger):
    job = prepare(ledger)
    ledger.delete_unsent(job)
    assert ledger.jobs() == []
    ledger.delete_unsent(job)  # its insert may have failed, too


def test_nothing_that_was_sent_can_be_removed(ledger):
    job = bring_to(ledger, "submitting")
    with pytest.raises(LedgerMisuse):
        ledger.delete_unsent(job)
    assert only(ledger).id == job


def test_a_late_answer_settles_an_unknown_job(ledger):
    job = bring_to(ledger, "submission_unknown")
    ledger.mark_submitted(job, HANDLE)
    row = only(ledger)
    assert (row.state, row.request_id, row.error_kind) == (JobState.SUBMITTED, "r-1", None)
    assert row.finished is None


def test_a_late_refusal_settles_an_unknown_job(ledger):
    job = bring_to(ledger, "submission_unknown")
    ledger.mark_failed(job, ProviderFailed("Refused."), charged=False)
    assert (only(ledger).state, only(ledger).cost) == (JobState.FAILED, 0)


def test_what_can_be_resumed(ledger):
    waiting = submitted(ledger)
    interrupted = submitted(ledger)
    ledger.release(interrupted, TimedOut("Too slow."))
    given_up = submitted(ledger)
    ledger.mark_cancelled(given_up, "It may finish.")
    undelivered = bring_to(ledger, "stored")
    ledger.release(undelivered, TimedOut("The disk is full."))
    never_sent = prepare(ledger)
    ledger.mark_cancelled(never_sent, "Stopped.")
    bring_to(ledger, "failed")
    bring_to(ledger, "completed")
    rehearsal = submitted(ledger, sandbox=True)
    prepare(ledger)

    rows = ledger.resumable(sandbox=False)
    assert [row.id for row in rows] == [waiting, interrupted, given_up, undelivered]
    assert all(row.resumable for row in rows)
    assert [row.id for row in ledger.resumable(sandbox=True)] == [rehearsal]
    assert rows[1].error_kind == "timeout"
    for job in (given_up, undelivered):
        step(ledger, job, "claim")
        ledger.mark_completed(job, **RESULT)
    assert [row.id for row in ledger.resumable(sandbox=False)] == [waiting, interrupted]


def test_a_result_that_is_lost_ends_the_job(ledger):
    for state in ("stored", "completed"):
        step(ledger, bring_to(ledger, state), "mark_lost")
    assert {row.state for row in ledger.jobs()} == {JobState.FAILED}
    assert ledger.resumable(sandbox=False) == []


def test_jobs_of_an_identity_are_told_newest_first(ledger):
    old = completed(ledger)
    new = bring_to(ledger, "failed")
    completed(ledger, sandbox=True)
    submitted(ledger, identity="d" * 64)
    assert [row.id for row in ledger.by_identity("b" * 64, sandbox=False)] == [new, old]
    assert ledger.by_identity("e" * 64, sandbox=False) == []


def insert_unless_exists(ledger, excluding=(), **changes):
    job = ledger.new_id()
    return ledger.insert_pending(intent(**changes), job=job, unless_exists=True, excluding=excluding)


def test_a_duplicate_meets_the_one_that_is_under_way(ledger):
    first = prepare(ledger)
    assert insert_unless_exists(ledger).id == first
    assert len(ledger.jobs()) == 1
    assert insert_unless_exists(ledger, identity="d" * 64) is None
    prepare(ledger)  # nobody asked
    assert len(ledger.jobs()) == 3


@pytest.mark.parametrize(
    "state",
    ["prepared", "submitting", "submitted", "stored", "completed", "cancelled", "submission_unknown"],
)
def test_a_duplicate_meets_what_came_meanwhile(ledger, state):
    """Another process may have ordered it, and even be done with it, since nothing was found."""
    other = bring_to(ledger, state)
    assert insert_unless_exists(ledger).id == other
    assert insert_unless_exists(ledger, excluding={other}) is None


def test_what_has_no_result_is_no_duplicate(ledger):
    bring_to(ledger, "failed")
    ledger.mark_cancelled(prepare(ledger), "Stopped.")
    assert insert_unless_exists(ledger) is None


ELSEWHERE = Handle("fal", "fal/seedvr2-image", "r-7", "https://queue.fal.run/a/requests/r-7/status")


def test_a_job_that_was_ordered_elsewhere_is_fetched_for_nothing(ledger):
    job = ledger.new_id()
    assert ledger.insert_fetched(intent(destination=None, pixels=1200), job=job, handle=ELSEWHERE) is None
    row = only(ledger)
    assert (row.id, row.state, row.request_id, row.handle) == (job, JobState.SUBMITTED, "r-7", ELSEWHERE)
    assert (row.cost, row.destination) == (0, None)
    assert ledger.owns(row)
    assert row.submitted is not None
    ledger.mark_completed(job, **RESULT | {"path": None})
    assert (only(ledger).state, only(ledger).result_path) == (JobState.COMPLETED, None)
    how_long = ledger.usual_seconds("fal/seedvr2-image", 1200, sandbox=False)
    assert how_long is None, "nobody knows when it was submitted"


def test_a_job_that_is_known_by_its_id_is_not_fetched_as_another_one(ledger):
    job = submitted(ledger)
    ledger.mark_cancelled(job, "It may finish.")
    assert ledger.insert_fetched(intent(), job=ledger.new_id(), handle=HANDLE).id == job
    assert ledger.by_request_id("fal/seedvr2-image", "r-1").id == job
    assert ledger.by_request_id("fal/seedvr2-seamless", "r-1") is None
    assert ledger.by_request_id("fal/seedvr2-image", "r-2") is None
    assert len(ledger.jobs()) == 1


def test_a_job_whose_id_another_has_is_not_adopted(ledger):
    unanswered = bring_to(ledger, "submission_unknown")
    submitted(ledger)
    before = ledger.get(unanswered)
    assert not ledger.adopt(unanswered, HANDLE)
    assert ledger.get(unanswered) == before
    assert ledger.adopt(unanswered, ELSEWHERE)


def test_jobs_are_listed_newest_first(ledger):
    made = [prepare(ledger) for _ in range(5)]
    step(ledger, made[1], "mark_submitting")
    assert made == sorted(made)
    assert [row.id for row in ledger.jobs()] == made[::-1]
    assert [row.id for row in ledger.jobs(limit=2)] == made[:2:-1]
    assert [row.id for row in ledger.jobs(states=[JobState.SUBMITTING])] == [made[1]]


def test_jobs_are_chosen_by_model_and_time(ledger):
    prepare(ledger, model="m/one")
    prepare(ledger, model="m/two")
    now = datetime.now(UTC)
    assert [row.model for row in ledger.jobs(model="m/two")] == ["m/two"]
    assert len(ledger.jobs(since=now - timedelta(minutes=1))) == 2
    assert ledger.jobs(since=now + timedelta(minutes=1)) == []
    assert ledger.jobs(until=now - timedelta(minutes=1)) == []
    assert ledger.jobs(since=now - timedelta(minutes=1), model="m/one", states=[JobState.FAILED]) == []


def test_what_is_over_is_forgotten_when_it_is_old(ledger):
    for state in ("completed", "failed"):
        bring_to(ledger, state)
    ledger.mark_cancelled(prepare(ledger), "Stopped.")
    may_matter = [
        bring_to(ledger, state) for state in ("submission_unknown", "submitted", "stored", "prepared")
    ]
    given_up = submitted(ledger)
    ledger.mark_cancelled(given_up, "It may finish.")
    assert ledger.purge(datetime.now(UTC) - timedelta(minutes=1)) == 0
    assert ledger.purge(datetime.now(UTC) + timedelta(minutes=1)) == 3
    assert sorted(row.id for row in ledger.jobs()) == sorted([*may_matter, given_up])


def test_no_more_jobs_of_an_account_are_under_way_than_allowed(ledger):
    first, second, third = (prepare(ledger) for _ in range(3))
    other = prepare(ledger, account="d" * 16)
    assert ledger.take_place(first, most=2)
    assert ledger.get(first).placed is not None
    step(ledger, first, "mark_submitting")
    step(ledger, first, "mark_submitted")
    assert ledger.take_place(second, most=2)
    assert ledger.take_place(second, most=2), "its own place is not in its way"
    assert not ledger.take_place(third, most=2)
    assert (ledger.get(third).state, ledger.get(third).placed) == (JobState.PREPARED, None)
    assert ledger.take_place(other, most=2)
    ledger.release(first, TimedOut("We do not wait for it any more."))
    assert ledger.take_place(third, most=2)


def test_jobs_that_are_taken_up_take_places_too(ledger):
    left, given_up, stored = submitted(ledger), submitted(ledger), bring_to(ledger, "stored")
    ledger.release(left)
    ledger.mark_cancelled(given_up, "It may finish.")
    ledger.release(stored)
    running = submitted(ledger)
    assert ledger.claim(left, most=1) is Claim.FULL
    assert ledger.get(left).owner is None
    assert ledger.claim(stored, most=1) is Claim.TAKEN, "its provider is done with it"
    assert ledger.claim(left, most=2) is Claim.TAKEN
    assert ledger.claim(left, most=2) is Claim.TAKEN, "its own place is not in its way"
    ledger.mark_completed(running, **RESULT)
    assert ledger.claim(given_up, most=2) is Claim.TAKEN
    row = ledger.get(given_up)
    assert (row.state, row.finished) == (JobState.SUBMITTED, None)
    assert ledger.take_place(prepare(ledger), most=2) is False


def test_a_job_that_is_driven_is_busy_however_few_places_there_are(place, ledger):
    job = submitted(ledger)
    other = Ledger(place)
    assert other.claim(job, most=0) is Claim.BUSY
    other.close()
