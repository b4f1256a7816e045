"""The table of transitions is what the ledger does: every one of them, from every state, by everyone."""

from decimal import Decimal

import pytest
from ledger_steps import HANDLE, METHODS, RESULT, bring_to, prepare
from remote_upscale.api_clients.ledger import Claim, JobState, Ledger, LedgerMisuse, OwnershipLost
from remote_upscale.api_clients.ledger.schema import jobs
from remote_upscale.api_clients.states import IF_LEFT, OWNED, TRANSITIONS, By
from sqlalchemy import update

ME, OTHER = "me", "other"

MADE_BY = {
    "mark_submitted": ["mark_submitted", "adopt"],
    "mark_stored": ["mark_stored", "renew"],
    "mark_completed": ["mark_completed", "renew"],
    "mark_cancelled": ["mark_cancelled", "cancel_unsent"],
    "claim": ["claim", "claim_cancelled"],
    "claim by id": ["claim", "claim_cancelled", "claim_failed"],
}
"""Methods that make one of several transitions, depending on the state."""

ELSEWHERE = {"insert_pending", "insert_fetched", "purge", "purge_cancelled"}
"""Those of no job, or of many."""


def others_name(ledger):
    """The owner's name of another process, which lives until the ledger is closed."""
    return ledger._lease.take()


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home" / "ledger.sqlite"


@pytest.fixture
def mine(home):
    ledger = Ledger(home)
    ledger._lease.take()
    yield ledger
    ledger.close()


@pytest.fixture
def theirs(home):
    ledger = Ledger(home)
    yield ledger
    ledger.close()


def put(ledger, state, owner, request_id):
    """A job in some state that belongs to somebody, whether or not the ledger would ever bring it there."""
    job = prepare(ledger)
    values = {"state": state, "owner": owner, "request_id": request_id, "note": None}
    with ledger.database.transaction() as connection:
        connection.execute(update(jobs).where(jobs.c.id == job).values(**values))
    return job


def allowed(name, state, owner, request_id):
    """The transition that a method makes of a job, by the table."""
    for step in (TRANSITIONS[one] for one in MADE_BY.get(name, [name])):
        if state not in step.sources:
            continue
        if step.request_id is not None and step.request_id != (request_id is not None):
            continue
        if owner == ME if step.by is By.DRIVER else owner != OTHER:
            return step
    return None


@pytest.mark.parametrize("name", METHODS)
def test_every_transition_from_every_state_by_everyone(mine, theirs, name):
    names = {ME: mine._lease.name, OTHER: others_name(theirs), None: None}
    for state in JobState:
        for owner in (ME, OTHER, None) if state in OWNED else (None,):
            for request_id in (None, "r-other"):
                job = put(mine, state, names[owner], request_id)
                before = mine.get(job)
                step = allowed(name, state, owner, request_id)
                refused = outcome(mine, job, name)
                case = (state, owner, request_id)
                after = mine.get(job)
                if step is None:
                    assert after == before, case
                    assert refused is (LedgerMisuse if owner == ME else OwnershipLost), case
                else:
                    assert refused is None, case
                    check(step, before, after, mine._lease.name, case)
                remove(mine, job)


def outcome(ledger, job, name):
    """The type of what a method raised; a claim says the same without raising."""
    row = ledger.get(job)
    try:
        answer = METHODS[name](ledger, job)
    except (LedgerMisuse, OwnershipLost) as error:
        return type(error)
    if answer is Claim.BUSY:
        return LedgerMisuse if ledger.owns(row) else OwnershipLost
    return None


def check(step, before, after, me, case):
    if step.removes:
        assert after is None, case
        return
    assert after.state is (step.target or before.state), case
    expected = None if "owner" in step.clears else me if step.by is By.CLAIMER else before.owner
    assert after.owner == expected, case
    assert [name for name in step.clears if getattr(after, name) is not None] == [], case
    assert after.cost == (0 if step.frees else before.cost), case


def remove(ledger, job):
    with ledger.database.transaction() as connection:
        connection.execute(jobs.delete().where(jobs.c.id == job))


@pytest.mark.parametrize("state", OWNED)
def test_what_the_end_of_a_process_leaves(home, mine, state):
    (step,) = (step for step in TRANSITIONS.values() if step.by is By.REAPER and state in step.sources)
    other = Ledger(home)
    left = put(mine, state, others_name(other), "r-1" if state is JobState.SUBMITTED else None)
    own = put(mine, state, mine._lease.name, None)
    before = mine.get(left), mine.get(own)
    assert before[0].state is before[1].state is state, "a living process keeps its jobs"
    other.close()
    after = mine.get(left), mine.get(own)
    check(step, before[0], after[0], None, state)
    assert after[1] == before[1]
    mine.release_stale(before[1])
    check(step, before[1], mine.get(own), None, state)


def test_every_transition_is_tested():
    made = {one for name in METHODS for one in MADE_BY.get(name, [name])}
    reaped = {name for name, step in TRANSITIONS.items() if step.by is By.REAPER}
    assert made | reaped | ELSEWHERE == set(TRANSITIONS)
    assert set(IF_LEFT) == set(JobState)


def test_a_job_belongs_to_somebody_only_in_states_that_the_reaper_knows():
    """Else it would belong to a dead process for ever."""
    for step in TRANSITIONS.values():
        keeps = "owner" not in step.clears and not step.removes
        reached = [step.target] if step.target else step.sources
        if keeps and step.by in (By.DRIVER, By.CLAIMER):
            assert set(reached) <= set(OWNED), step.name
    assert len(OWNED) == len(set(OWNED)), "one way out of each state"


def test_what_is_over_belongs_to_nobody_and_leads_nowhere():
    for step in TRANSITIONS.values():
        if JobState.FAILED in step.sources:
            assert step.removes or step.name == "claim_failed", "but where a person wants it by its id"


@pytest.mark.parametrize(
    "name", sorted(set(METHODS) - {"claim", "claim by id", "delete_unsent", "take_place"})
)
def test_a_job_that_there_is_not_cannot_be_moved(ledger, name):
    with pytest.raises(LedgerMisuse):
        METHODS[name](ledger, "0" * 24)
    assert ledger.claim("0" * 24) is Claim.BUSY


def test_a_driver_that_was_thought_dead_writes_nothing(place, ledger):
    """As after a network that was broken: another process has taken the job over."""
    other = Ledger(place)
    job = bring_to(ledger, "submitted")
    other.release_stale(ledger.get(job))
    assert other.claim(job) is Claim.TAKEN
    before = other.get(job)
    for late in ("mark_stored", "mark_completed", "mark_failed", "mark_cancelled", "release"):
        with pytest.raises(OwnershipLost) as caught:
            METHODS[late](ledger, job)
        assert "resume" in caught.value.hint
    assert other.get(job) == before
    other.mark_completed(job, **RESULT)
    other.close()


def test_before_the_submit_nothing_is_lost_with_the_job(ledger):
    for name in ("take_place", "mark_submitting"):
        job = prepare(ledger)
        ledger.release_stale(ledger.get(job))
        with pytest.raises(OwnershipLost) as caught:
            METHODS[name](ledger, job)
        assert caught.value.meaning.not_accepted
        assert "Nothing was sent" in caught.value.hint


def test_an_answer_that_comes_to_a_driver_that_was_thought_dead_is_kept(place, ledger):
    """The id of what is paid for must not get lost."""
    job = bring_to(ledger, "submitting")
    other = Ledger(place)
    other.release_stale(ledger.get(job))
    assert ledger.get(job).state is JobState.UNKNOWN
    ledger.mark_submitted(job, HANDLE)
    row = ledger.get(job)
    assert (row.state, row.request_id, row.error_kind) == (JobState.SUBMITTED, "r-1", None)
    assert ledger.owns(row)
    other.close()


def test_an_answer_that_comes_too_late_tells_its_id(place, ledger):
    job = bring_to(ledger, "submitting")
    other = Ledger(place)
    other.release_stale(ledger.get(job))
    assert other.adopt(job, HANDLE)
    for late in (ledger.mark_submitted, ledger.adopt):
        with pytest.raises(OwnershipLost, match="r-2"):
            late(job, HANDLE.__class__("fal", "fal/seedvr2-image", "r-2", "https://queue.fal.run/r-2/status"))
    other.close()


def test_money_of_what_was_never_sent_is_free(ledger):
    own = prepare(ledger, cost=Decimal("0.25"))
    left = prepare(ledger, cost=None)
    ledger.mark_cancelled(own, "Stopped.")
    ledger.release_stale(ledger.get(left))
    assert [ledger.get(job).cost for job in (own, left)] == [0, 0]
