"""A job's way through the ledger."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from ledger_steps import (
    HANDLE,
    KEPT,
    RESULT,
    bring_to,
    completed,
    intent,
    prepare,
    send,
    step,
    submitted,
)
from remote_upscale.api_clients.errors import Meaning, ProviderFailed, TimedOut
from remote_upscale.api_clients.ledger import JobState, LedgerMisuse


def only(ledger):
    (row,) = ledger.jobs()
    return row


def test_a_job_from_intent_to_result(ledger):
    before = datetime.now(UTC)
    job = prepare(ledger)
    row = only(ledger)
    assert (row.id, row.state, row.request_id, row.handle, row.sent) == (job, "prepared", None, None, None)
    assert row.parameters == {"upscale_factor": 2, "words": ["x", "y"]}
    assert row.cost == Decimal("0.00100000000000000001")
    assert before <= row.created <= datetime.now(UTC)
    assert row.created.utcoffset().total_seconds() == 0
    assert not row.may_cost

    send(ledger, job)
    row = only(ledger)
    assert (row.state, row.link) == (JobState.SUBMITTING, "f" * 64)
    assert row.may_cost

    ledger.submitted(job, HANDLE)
    row = only(ledger)
    assert (row.state, row.request_id, row.handle) == (JobState.SUBMITTED, "r-1", HANDLE)

    ledger.kept(job, **KEPT)
    row = only(ledger)
    assert (row.state, row.result_sha256, row.result_path) == (JobState.STORED, "c" * 64, None)

    ledger.completed(job, **RESULT)
    row = only(ledger)
    assert row.state is JobState.COMPLETED
    assert (row.result_path, row.result_sha256, row.result_bytes) == ("/out/a.png", "c" * 64, 5_000_000_000)
    assert (row.width, row.height, row.owner) == (40, 30, None)
    assert row.created <= row.sent <= row.submitted <= row.stored <= row.finished


@pytest.mark.parametrize("state", ["submitting", "submitted"])
def test_a_result_that_the_store_did_not_take_is_delivered_all_the_same(ledger, state):
    job = bring_to(ledger, state)
    ledger.completed(job, **RESULT)
    assert (only(ledger).state, only(ledger).stored) == (JobState.COMPLETED, None)
    assert only(ledger).may_cost


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
    assert row.cost == Decimal("0.00100000000000000001")


def test_what_was_certainly_not_charged_cost_nothing(ledger):
    ledger.failed(submitted(ledger), ProviderFailed("It was not charged.", meaning=Meaning.REFUSED))
    assert only(ledger).cost == 0


def test_no_link_is_kept_with_its_signature(ledger):
    link = "https://user:SECRET@cdn.test/in/photo.png?X-Amz-Signature=SECRET#SECRET"
    prepare(ledger, source=link, parameters={"webhook": link, "seed": 7})
    row = only(ledger)
    assert row.source == "https://cdn.test/in/photo.png"
    assert row.parameters == {"webhook": "https://cdn.test/in/photo.png", "seed": 7}
    assert "SECRET" not in repr(row)


@pytest.mark.parametrize(
    ("reached", "then"),
    [
        ("prepared", "submitted"),
        ("prepared", "kept"),
        ("prepared", "completed"),
        ("prepared", "unknown"),
        ("prepared", "lost"),
        ("submitting", "submitting"),
        ("submitting", "cancelled"),
        ("submitted", "submitting"),
        ("submitted", "submitted"),
        ("submitted", "unknown"),
        ("submitted", "retract"),
        ("submitted", "undelivered"),
        ("submitted", "lost"),
        ("stored", "submitting"),
        ("stored", "unknown"),
        ("stored", "cancelled"),
        ("completed", "submitting"),
        ("completed", "failed"),
        ("completed", "cancelled"),
        ("completed", "undelivered"),
        ("failed", "submitting"),
        ("failed", "submitted"),
        ("failed", "completed"),
        ("submission_unknown", "submitting"),
        ("submission_unknown", "completed"),
        ("submission_unknown", "retract"),
        ("no job", "submitting"),
        ("no job", "retract"),
    ],
)
def test_impossible_steps_are_refused_and_change_nothing(ledger, reached, then):
    job = "0" * 24 if reached == "no job" else bring_to(ledger, reached)
    before = ledger.jobs()
    with pytest.raises(LedgerMisuse):
        step(ledger, job, then)
    assert ledger.jobs() == before


@pytest.mark.parametrize("name", ["a\udcff.png", '"a".png', "фото.png", "C:\\a\\b.png", "a\nb"])
def test_any_file_name_comes_back_as_it_was(ledger, name):
    job = submitted(ledger, source=name, destination=f"/out/{name}")
    ledger.completed(job, **RESULT | {"path": f"/out/{name}"})
    row = only(ledger)
    assert (row.source, row.destination, row.result_path) == (name, f"/out/{name}", f"/out/{name}")


@pytest.mark.parametrize("state", ["prepared", "submitting"])
def test_a_retracted_job_leaves_nothing(ledger, state):
    ledger.retract(bring_to(ledger, state))
    assert ledger.jobs() == []


def test_a_late_answer_settles_an_unknown_job(ledger):
    job = bring_to(ledger, "submission_unknown")
    ledger.submitted(job, HANDLE)
    row = only(ledger)
    assert (row.state, row.request_id, row.error_kind) == (JobState.SUBMITTED, "r-1", None)
    assert row.finished is None


def test_a_late_refusal_settles_an_unknown_job(ledger):
    job = bring_to(ledger, "submission_unknown")
    ledger.failed(job, ProviderFailed("Refused.", meaning=Meaning.REFUSED))
    assert (only(ledger).state, only(ledger).cost) == (JobState.FAILED, 0)


def test_what_can_be_resumed(ledger):
    waiting = submitted(ledger)
    interrupted = submitted(ledger)
    ledger.interrupted(interrupted, TimedOut("Too slow."))
    given_up = submitted(ledger)
    ledger.cancelled(given_up, "It may finish.")
    undelivered = bring_to(ledger, "stored")
    ledger.undelivered(undelivered, TimedOut("The disk is full."))
    never_sent = prepare(ledger)
    ledger.cancelled(never_sent, "Stopped.")
    bring_to(ledger, "failed")
    bring_to(ledger, "completed")
    rehearsal = submitted(ledger, sandbox=True)
    prepare(ledger)

    rows = ledger.resumable(sandbox=False)
    assert [row.id for row in rows] == [waiting, interrupted, given_up, undelivered]
    assert all(row.resumable for row in rows)
    assert [row.id for row in ledger.resumable(sandbox=True)] == [rehearsal]
    assert rows[1].error_kind == "timeout"
    ledger.completed(given_up, **RESULT)
    ledger.completed(undelivered, **RESULT)
    assert [row.id for row in ledger.resumable(sandbox=False)] == [waiting, interrupted]


def test_a_result_that_is_lost_ends_the_job(ledger):
    for state in ("stored", "completed"):
        step(ledger, bring_to(ledger, state), "lost")
    assert {row.state for row in ledger.jobs()} == {JobState.FAILED}
    assert ledger.resumable(sandbox=False) == []


def test_jobs_of_an_identity_are_told_newest_first(ledger):
    old = completed(ledger)
    new = bring_to(ledger, "failed")
    completed(ledger, sandbox=True)
    submitted(ledger, identity="d" * 64)
    assert [row.id for row in ledger.same("b" * 64, sandbox=False)] == [new, old]
    assert ledger.same("e" * 64, sandbox=False) == []


def test_a_job_that_is_to_be_alone_meets_the_one_that_is_under_way(ledger):
    first = prepare(ledger)
    twin = ledger.enter(intent(), alone=True)
    assert twin.id == first
    assert isinstance(ledger.enter(intent(identity="d" * 64), alone=True), str)
    assert isinstance(ledger.enter(intent(), alone=False), str)
    assert len(ledger.jobs()) == 3


@pytest.mark.parametrize(
    "state", ["prepared", "submitting", "submitted", "stored", "completed", "submission_unknown"]
)
def test_a_job_that_is_to_be_alone_meets_what_came_meanwhile(ledger, state):
    """Another process may have ordered it, and even be done with it, since nothing was found."""
    other = bring_to(ledger, state)
    assert ledger.enter(intent(), alone=True).id == other
    assert isinstance(ledger.enter(intent(), alone=True, besides={other}), str)


def test_a_job_that_is_to_be_alone_is_not_held_up_by_what_has_no_result(ledger):
    bring_to(ledger, "failed")
    ledger.cancelled(prepare(ledger), "Stopped.")
    assert isinstance(ledger.enter(intent(), alone=True), str)


def test_jobs_are_listed_newest_first(ledger):
    made = [prepare(ledger) for _ in range(5)]
    send(ledger, made[1])
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
    ledger.cancelled(prepare(ledger), "Stopped.")
    may_matter = [
        bring_to(ledger, state) for state in ("submission_unknown", "submitted", "stored", "prepared")
    ]
    given_up = submitted(ledger)
    ledger.cancelled(given_up, "It may finish.")
    assert ledger.forget(datetime.now(UTC) - timedelta(minutes=1)) == 0
    assert ledger.forget(datetime.now(UTC) + timedelta(minutes=1)) == 3
    assert sorted(row.id for row in ledger.jobs()) == sorted([*may_matter, given_up])


def test_no_more_jobs_of_an_account_are_sent_than_allowed(ledger):
    first, second, third = (prepare(ledger) for _ in range(3))
    other = prepare(ledger, account="d" * 16)
    assert ledger.submitting(first, link="l", most=2)
    ledger.submitted(first, HANDLE)
    assert ledger.submitting(second, link="l", most=2)
    assert not ledger.submitting(third, link="l", most=2)
    assert ledger.look(third).state is JobState.PREPARED
    assert ledger.submitting(other, link="l", most=2)
    ledger.interrupted(first, TimedOut("We do not wait for it any more."))
    assert ledger.submitting(third, link="l", most=2)
